"""A refusal that every video meets stops the run with nothing put aside; one that some meet costs those alone."""

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import Response, StreamingResponse

from tests.data_builders.scripted_teacher import Asked, Script, ScriptedTeacher, refusal, reply, scripted_teacher
from tests.data_builders.small_builds import SmallBuild
from videorouter.data_builders.building.ledger import Ledger

NO_TEMPERATURE = "Unsupported value: 'temperature' does not support 0 with this model."
ANNOTATE, GENERATE, QTR = ("flr", "annotate"), ("flr", "generate"), ("qtr",)

ONE_AND_THE_OTHERS = [ANNOTATE, *(pytest.param(builder, marks=pytest.mark.slow) for builder in (GENERATE, QTR))]
"""The others by hand: they take seconds each."""


@pytest.fixture
def teacher() -> Iterator[ScriptedTeacher]:
    with scripted_teacher() as serving:
        yield serving


@pytest.fixture
def build(world: Path, tmp_path: Path) -> SmallBuild:
    """Twelve videos of one question each, a shard a video."""
    return SmallBuild(world, tmp_path)


def refuse_all(asked: Asked) -> Response:
    return refusal(NO_TEMPERATURE)


def prose(asked: Asked) -> Response:
    return reply(f"Certainly! Here is number {asked.number}.")


@pytest.mark.parametrize("builder", ONE_AND_THE_OTHERS)
def test_what_every_video_is_refused_stops_the_run_and_the_same_command_asks_again(
    builder: tuple[str, ...],
    build: SmallBuild,
    teacher: ScriptedTeacher,
    capfd: pytest.CaptureFixture[str],
) -> None:
    teacher.script = refuse_all
    assert build.run(teacher.url, "out", builder=builder) == 6
    said = capfd.readouterr().err
    assert NO_TEMPERATURE in said
    assert "8 videos" in said
    assert "--teacher.temperature" in said
    assert 8 <= len(teacher.seen) <= 12
    assert build.left("out") == []
    teacher.script = lambda asked: None
    before = len(teacher.seen)
    assert build.run(teacher.url, "out", builder=builder) == 0
    needed = len(teacher.seen) - before
    assert build.run(teacher.url, "undisturbed", builder=builder) == 0
    assert len(teacher.seen) - before == 2 * needed
    assert build.shards("out") == build.shards("undisturbed")


@pytest.mark.parametrize("builder", ONE_AND_THE_OTHERS)
def test_what_was_to_change_may_be_changed_while_nothing_is_labelled(
    builder: tuple[str, ...], build: SmallBuild, teacher: ScriptedTeacher, capfd: pytest.CaptureFixture[str]
) -> None:
    """The first video's file is missing, which is put aside before the endpoint refuses what it is asked."""
    (build.videos / "v00.mp4").rename(build.folder / "v00.mp4")
    teacher.script = lambda asked: refuse_all(asked) if "temperature" in asked.body else None
    assert build.run(teacher.url, "out", builder=builder) == 6
    mended = ["--teacher.temperature", "null"]
    assert build.run(teacher.url, "out", *mended, builder=builder) == (0 if builder == GENERATE else 3)
    assert build.run(teacher.url, "undisturbed", *mended, builder=builder) == (0 if builder == GENERATE else 3)
    assert build.shards("out") == build.shards("undisturbed")
    assert build.run(teacher.url, "out", builder=builder) == 1
    assert "teacher.temperature: 'none' -> None" in capfd.readouterr().err


NO_PATIENCE = ["--teacher.attempts", "0", "--teacher.patience", "1"]
OF_ONE_KIND = [ANNOTATE, "VideoAnswer", "--necessity"], [GENERATE, "Coherence"], [QTR, "VideoAnswer"]


@pytest.mark.parametrize(
    ("builder", "kind", "options"),
    [
        pytest.param(one[0], one[1], one[2:], marks=[pytest.mark.slow] if number else [])
        for number, one in enumerate(OF_ONE_KIND)
    ],
)
def test_what_fails_for_every_video_stops_the_run_with_nothing_put_aside(
    builder: tuple[str, ...],
    kind: str,
    options: list[str],
    build: SmallBuild,
    teacher: ScriptedTeacher,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """With one status and another by turns; other kinds of request are answered."""

    def fails(asked: Asked) -> Response | None:
        return refusal("CUDA out of memory", 500 + asked.number % 3) if asked.kind == kind else None

    teacher.script = fails
    options = [*options, *NO_PATIENCE]
    assert build.run(teacher.url, "out", *options, builder=builder) == 6
    said = capfd.readouterr().err
    assert "the endpoint fails on what this run asks" in said
    assert "CUDA out of memory" in said
    assert build.left("out") == []
    teacher.script = lambda asked: None
    assert build.run(teacher.url, "out", *options, builder=builder) == 0
    assert build.run(teacher.url, "undisturbed", *options, builder=builder) == 0
    assert build.paid("out") == build.paid("undisturbed") == len(teacher.good) // 2
    assert build.shards("out") == build.shards("undisturbed")


def test_what_failed_for_a_while_is_waited_for_once_so_many_have_failed(
    build: SmallBuild, teacher: ScriptedTeacher
) -> None:
    """From the second video's request on a dozen fail; the last of them are the same one, tried again."""
    teacher.script = lambda asked: refusal("busy", 503) if 1 <= asked.number <= 12 else None
    assert build.run(teacher.url, "out", "--teacher.attempts", "0", "--teacher.patience", "30") == 3
    assert list(build.quarantine("out").values()) in (["server_error"] * 7, ["server_error"] * 8)
    assert build.run(teacher.url, "out", "--retry_failed") == 0


@contextmanager
def unresolved(looks: Callable[[int], bool], count: Iterator[int]) -> Iterator[None]:
    """The name teacher.test is this machine's, but at looks at it, counted from 0, for which there is no name server."""
    resolve = socket.getaddrinfo

    def looked_up(host: Any, *more: Any, **options: Any) -> Any:
        if host not in ("teacher.test", b"teacher.test"):
            return resolve(host, *more, **options)
        if looks(next(count)):
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return resolve("127.0.0.1", *more, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", looked_up)
        yield


def test_a_name_that_does_not_resolve_for_a_moment_is_waited_for_once_it_had_answered(
    build: SmallBuild, teacher: ScriptedTeacher, capfd: pytest.CaptureFixture[str]
) -> None:
    """The first look is the rehearsal's, the second the build's own."""
    url, looks = teacher.url.replace("127.0.0.1", "teacher.test"), count()
    with unresolved(lambda look: 1 <= look <= 2, looks):
        assert build.run(url, "out", "--teacher.wait", "0", "--teacher.patience", "60") == 0
    assert next(looks) >= 4
    with unresolved(lambda look: True, count()):
        assert build.run(url, "never", "--teacher.patience", "60") == 4
    assert "check --teacher.base_url" in capfd.readouterr().err


@pytest.mark.parametrize("builder", [ANNOTATE, pytest.param(QTR, marks=pytest.mark.slow)])
def test_invalid_replies_of_one_shape_stop_the_run_and_are_paid_but_never_replayed(
    builder: tuple[str, ...], build: SmallBuild, teacher: ScriptedTeacher, capfd: pytest.CaptureFixture[str]
) -> None:
    teacher.script = prose
    assert build.run(teacher.url, "out", builder=builder) == 6
    assert "constrained decoding" in capfd.readouterr().err
    bad = len(teacher.seen)
    assert 16 <= bad <= 24
    assert build.paid("out") == bad
    teacher.script = lambda asked: None
    assert build.run(teacher.url, "out", builder=builder) == 0
    assert build.paid("out") == bad + len(teacher.good)
    assert build.run(teacher.url, "undisturbed", builder=builder) == 0
    assert build.shards("out") == build.shards("undisturbed")


def test_a_fault_that_begins_in_the_middle_takes_back_the_shards_that_it_reached(
    build: SmallBuild, teacher: ScriptedTeacher
) -> None:
    """Two are labelled; from the third on all are refused."""
    teacher.script = lambda asked: refusal("this model takes 3 images at most") if len(teacher.good) >= 2 else None
    assert build.run(teacher.url, "out") == 6
    assert build.left("out")[0] == "train-00000.tar"
    assert len(build.left("out")) == 2
    assert Ledger(build.folder / "out").totals().failures == 0
    teacher.script = lambda asked: None
    assert build.run(teacher.url, "out") == 0
    assert build.paid("out") == 12


@pytest.mark.parametrize("executor", ["local", pytest.param("ray", marks=pytest.mark.slow)])
def test_several_processes_stop_for_the_same_fault(executor: str, build: SmallBuild, teacher: ScriptedTeacher) -> None:
    """The rehearsal passes; then each process sees a part of the refusals, and the one that gives them shards sees all."""
    teacher.script = lambda asked: refusal("no such grammar") if teacher.good else None
    several = ["--executor", executor, "--workers", "2"]
    assert build.run(teacher.url, "out", *several) == 6
    assert build.left("out") == ["train-00000.tar"]
    teacher.script = lambda asked: None
    assert build.run(teacher.url, "out", *several) == 0
    assert build.paid("out") == 12


@pytest.mark.slow
def test_tasks_of_somebody_elses_ray_end_with_the_run_that_gave_them(
    build: SmallBuild, teacher: ScriptedTeacher
) -> None:
    """One video's answer takes long, the others are refused."""
    ray = pytest.importorskip("ray")

    async def late() -> AsyncIterator[str]:
        await asyncio.sleep(60)
        yield "{}"

    def script(asked: Asked) -> Response | None:
        return StreamingResponse(late()) if asked.video == "v01" else refusal("no grammar") if teacher.good else None

    teacher.script = script
    ray.init(num_cpus=2, log_to_driver=False, include_dashboard=False)
    try:
        several, start = ["--executor", "ray", "--workers", "2"], time.monotonic()
        assert build.run(teacher.url, "out", *several) == 6
        assert time.monotonic() - start < 50
        teacher.script = lambda asked: None
        assert build.run(teacher.url, "out") == 0  # nobody holds a journal of it
    finally:
        ray.shutdown()


def test_jobs_of_one_video_each_tell_the_fault_too(
    build: SmallBuild, teacher: ScriptedTeacher, capfd: pytest.CaptureFixture[str]
) -> None:
    teacher.script = refuse_all
    assert build.run(teacher.url, "out", "--shard_range", "3:4") == 6
    assert "1 video met" in capfd.readouterr().err
    assert build.left("out") == []
    assert len(teacher.seen) == 2


def test_seven_refusals_and_an_answer_are_the_videos_own(build: SmallBuild, teacher: ScriptedTeacher) -> None:
    teacher.script = lambda asked: None if asked.number == 7 else refusal("too long")
    assert build.run(teacher.url, "out", "--teacher.concurrency", "1") == 3
    assert list(build.quarantine("out").values()) == ["refused"] * 11


def test_many_refusals_of_one_video_are_its_own(world: Path, tmp_path: Path, teacher: ScriptedTeacher) -> None:
    build = SmallBuild(world, tmp_path, videos=9, more={"v03": 50})
    teacher.script = lambda asked: refusal("too long") if asked.video == "v03" else None
    assert build.run(teacher.url, "out") == 3
    assert set(build.quarantine("out").values()) == {"refused"}
    assert len(build.quarantine("out")) == 50


def test_one_refused_question_in_each_video_is_no_fault_of_the_run(
    world: Path, tmp_path: Path, teacher: ScriptedTeacher
) -> None:
    """Refusals come faster than answers: those in flight are heard before the run is stopped."""
    build = SmallBuild(world, tmp_path, videos=12, each=3)
    teacher.script = lambda asked: refusal("too long") if "part 0" in asked.text else None
    assert build.run(teacher.url, "out", "--videos_per_shard", "12", "--teacher.concurrency", "32") == 3
    assert len(build.quarantine("out")) == 12


def test_a_limit_that_only_large_requests_meet_is_the_runs(
    build: SmallBuild, teacher: ScriptedTeacher, capfd: pytest.CaptureFixture[str]
) -> None:
    """Windows of one frame pass between those of three."""
    teacher.script = lambda asked: refusal("at most 2 images may be provided") if asked.pictures > 2 else None
    assert build.run(teacher.url, "out", "--window", "3") == 6
    assert "--limit-mm-per-prompt" in capfd.readouterr().err
    assert len({asked.video for asked in teacher.seen}) == 8


def moderated(asked: Asked) -> Response:
    return refusal("flagged by our content policy", code="content_filter")


def test_moderation_is_an_items_until_it_is_over_half_of_the_last_requests(
    world: Path, tmp_path: Path, teacher: ScriptedTeacher, capfd: pytest.CaptureFixture[str]
) -> None:
    build = SmallBuild(world, tmp_path, videos=12, each=9)
    teacher.script = lambda asked: moderated(asked) if asked.text.count("part 0") + asked.text.count("part 1") else None
    assert build.run(teacher.url, "out") == 3
    assert list(build.quarantine("out").values()) == ["refused"] * 24
    teacher.script, start = moderated, len(teacher.seen)
    assert build.run(teacher.url, "all") == 6
    assert "over half" in capfd.readouterr().err
    assert 101 <= len(teacher.seen) - start <= 104
    assert build.left("all") == []


@pytest.mark.parametrize("builder", [ANNOTATE, GENERATE, QTR])
@pytest.mark.parametrize("script", [refuse_all, prose])
def test_a_dry_run_says_why_it_is_refused(
    builder: tuple[str, ...],
    script: Script,
    build: SmallBuild,
    teacher: ScriptedTeacher,
    capfd: pytest.CaptureFixture[str],
) -> None:
    teacher.script = script
    assert build.run(teacher.url, "out", "--dry_run", "2", builder=builder) == 6
    assert "2 videos met the same" in capfd.readouterr().err
    teacher.script = lambda asked: None
    assert build.run(teacher.url, "out", "--dry_run", "2", builder=builder) == 0
    assert "put aside" not in capfd.readouterr().out


def test_refusals_can_be_put_aside_however_many(build: SmallBuild, teacher: ScriptedTeacher) -> None:
    teacher.script = refuse_all
    assert build.run(teacher.url, "out", "--refused_in_a_row", "0") == 3
    assert len(build.quarantine("out")) == 12


def test_the_first_video_passes_every_kind_of_request_before_a_second_is_paid_for(
    build: SmallBuild, teacher: ScriptedTeacher, capfd: pytest.CaptureFixture[str]
) -> None:
    assert build.run(teacher.url, "out", "--necessity") == 0
    said = capfd.readouterr().err
    assert [asked.video for asked in teacher.seen[:2]] == ["v00", "v00"]
    assert [asked.pictures for asked in teacher.seen[:2]] == [4, 3]
    assert "frame_scores: passed; 1 request, at most 4 pictures" in said
    assert "counterfactual: passed; 1 request, at most 3 pictures" in said
    assert "judge_answer: not needed yet" in said
    assert build.paid("out") == len(teacher.seen) == 24


def test_necessity_that_is_refused_is_told_before_windows_are_paid_for(
    build: SmallBuild, teacher: ScriptedTeacher
) -> None:
    teacher.script = lambda asked: refusal("request entity too large", 413) if asked.kind == "VideoAnswer" else None
    assert build.run(teacher.url, "out", "--necessity") == 6
    assert len(teacher.good) == 8


def test_probing_rehearses_with_one_video(
    build: SmallBuild, teacher: ScriptedTeacher, capfd: pytest.CaptureFixture[str]
) -> None:
    assert build.run(teacher.url, "out", builder=QTR) == 0
    said = capfd.readouterr().err
    assert "rehearsed with v00.mp4" in said
    assert "answer: passed; 2 requests" in said
    kinds = [asked.kind for asked in teacher.seen]
    assert kinds[:2] == ["QuestionCategory", "FrameScores"]
    assert kinds.index("VideoAnswer") < kinds.index("QuestionCategory", 1)
    assert len({json.dumps(asked.body) for asked in teacher.seen}) == len(teacher.seen)
