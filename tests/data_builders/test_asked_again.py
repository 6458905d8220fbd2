"""What was put aside is asked again on demand, good answers are not paid twice; one item's error ends no other's work."""

import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.responses import Response

from tests.data_builders.scripted_teacher import Asked, ScriptedTeacher, refusal, reply, scripted_teacher
from tests.data_builders.small_builds import SmallBuild
from videorouter.data_builders.building import shard_builder
from videorouter.data_builders.building.ledger import Ledger
from videorouter.data_builders.building.shard_builder import _Count
from videorouter.data_builders.flr.annotate import TeacherLabeller
from videorouter.data_builders.rejects import Reject
from videorouter.data_builders.teacher.journal import Journal


@pytest.fixture
def teacher() -> Iterator[ScriptedTeacher]:
    with scripted_teacher() as serving:
        yield serving


@pytest.fixture
def build(world: Path, tmp_path: Path) -> SmallBuild:
    """Three videos of two questions each."""
    return SmallBuild(world, tmp_path, videos=3, each=2)


def refuse_one(asked: Asked) -> Response | None:
    return refusal("not this one") if "v01, part 1" in asked.text else None


def spoil_one(asked: Asked) -> Response | None:
    return reply("no JSON") if "v01, part 1" in asked.text else None


@pytest.mark.parametrize(
    ("script", "flag", "other"),
    [(refuse_one, "--retry_refused", "--retry_invalid"), (spoil_one, "--retry_invalid", "--retry_refused")],
)
def test_what_was_put_aside_is_asked_again_and_nothing_else(
    build: SmallBuild, teacher: ScriptedTeacher, script: object, flag: str, other: str
) -> None:
    teacher.script = script  # type: ignore[assignment]
    assert build.run(teacher.url, "out") == 3
    assert list(build.quarantine("out")) == ["v01-1"]
    teacher.script, asked = lambda asked: None, len(teacher.seen)
    assert build.run(teacher.url, "out") == 3
    assert build.run(teacher.url, "out", other) == 3
    assert len(teacher.seen) == asked
    assert build.run(teacher.url, "out", flag) == 0
    assert len(teacher.seen) == asked + 1
    assert build.run(teacher.url, "undisturbed") == 0
    assert build.shards("out") == build.shards("undisturbed")
    assert Ledger(build.folder / "out").totals().questions == 6


def test_what_is_refused_again_stays_put_aside_and_a_stop_leaves_what_was_there(
    build: SmallBuild, teacher: ScriptedTeacher
) -> None:
    teacher.script = refuse_one
    assert build.run(teacher.url, "out") == 3
    before = build.shards("out")
    assert build.run(teacher.url, "out", "--retry_refused") == 3
    assert build.shards("out") == before
    teacher.script = lambda asked: refusal("no key", 401)
    assert build.run(teacher.url, "out", "--retry_refused") in (4, 6)
    assert build.shards("out") == before
    assert build.left("out")[0] == "rejects/train-00001.jsonl"
    assert Ledger(build.folder / "out").totals().questions == 5


def test_retrying_ends_even_where_all_are_refused_again(world: Path, tmp_path: Path, teacher: ScriptedTeacher) -> None:
    """Many single questions that are refused again stop the run, and leave the finished data set as it was."""
    build = SmallBuild(world, tmp_path, videos=12)
    teacher.script = lambda asked: refusal("too long") if asked.video >= "v02" else None
    assert build.run(teacher.url, "out", "--refused_in_a_row", "0") == 3
    before, aside = build.shards("out"), build.quarantine("out")
    assert build.run(teacher.url, "out", "--retry_refused") == 6
    assert build.run(teacher.url, "out") == 3
    assert (build.shards("out"), build.quarantine("out")) == (before, aside)


def test_all_bad_replies_about_a_question_are_asked_again_at_once(build: SmallBuild, teacher: ScriptedTeacher) -> None:
    """Four windows of a frame each, every one of them answered badly."""
    teacher.script = spoil_one
    assert build.run(teacher.url, "out", "--window", "1") == 3
    teacher.script, asked = lambda asked: None, len(teacher.seen)
    assert build.run(teacher.url, "out", "--window", "1", "--retry_invalid") == 0
    assert len(teacher.seen) == asked + 4


def test_bad_replies_of_folders_without_keys_are_asked_again(build: SmallBuild, teacher: ScriptedTeacher) -> None:
    teacher.script = spoil_one
    assert build.run(teacher.url, "out") == 3
    rejects = build.folder / "out" / "rejects" / "train-00001.jsonl"
    row = json.loads(rejects.read_text())
    assert row.pop("keys")
    rejects.write_text(json.dumps(row) + "\n")
    teacher.script = lambda asked: None
    assert build.run(teacher.url, "out", "--retry_invalid") == 0


@pytest.mark.parametrize(("status", "flag"), [(400, "--retry_refused"), (200, "--retry_invalid")])
def test_probing_asks_again_and_labels_follow(
    build: SmallBuild, teacher: ScriptedTeacher, status: int, flag: str
) -> None:
    """A category and a probe are put aside; asked again, they count, and shards are those of an undisturbed build."""
    bad = refusal("not this one") if status == 400 else reply("no JSON")
    spoiled = {("QuestionCategory", "v01, part 1"), ("VideoAnswer", "v02, part 0")}
    teacher.script = lambda asked: bad if any(k == asked.kind and t in asked.text for k, t in spoiled) else None
    assert build.run(teacher.url, "out", builder=("qtr",)) == 3
    assert "v01-1" in build.quarantine("out")
    teacher.script, good = lambda asked: None, len(teacher.good)
    assert build.run(teacher.url, "out", flag, builder=("qtr",)) == 0
    again = len(teacher.good) - good
    assert build.run(teacher.url, "undisturbed", builder=("qtr",)) == 0
    assert build.shards("out") == build.shards("undisturbed")
    assert good + again == len(teacher.good) - good - again
    assert build.left("out") == [*build.left("undisturbed")]


def test_retired_replies_stay_paid(tmp_path: Path) -> None:
    import asyncio

    from videorouter.data_builders.teacher.config import Usage
    from videorouter.data_builders.teacher.journal import Answer

    journal = Journal(tmp_path / "j.sqlite")
    for _ in range(2):
        asyncio.run(journal.keep("k", Answer("m", "{", Usage(1, 0, 5, 5))))
        journal.retire(["k", "unknown"])
        assert journal.find("k") is None
    journal.close()
    again = Journal(tmp_path / "j.sqlite")
    assert again.find("k") is None
    assert again.spent() == {"m": Usage(2, 0, 10, 10)}
    again.close()


def test_an_unforeseen_error_costs_its_item_and_is_in_the_log(
    build: SmallBuild, teacher: ScriptedTeacher, monkeypatch: pytest.MonkeyPatch
) -> None:
    score, prepare = TeacherLabeller._score, TeacherLabeller.prepare

    async def broken(self: TeacherLabeller, video: object, question: object) -> object:
        if question.id == "v00-1":  # type: ignore[attr-defined]
            raise KeyError("nobody thought of it")
        return await score(self, video, question)  # type: ignore[arg-type]

    def unreadable(self: TeacherLabeller, job: object) -> object:
        if job.video == "v02.mp4":  # type: ignore[attr-defined]
            raise PermissionError(13, "denied", "v02.mp4")
        return prepare(self, job)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(TeacherLabeller, "_score", broken)
        patched.setattr(TeacherLabeller, "prepare", unreadable)
        assert build.run(teacher.url, "out") == 3
    assert build.quarantine("out") == {"v00-1": "error", "v02.mp4": "error"}
    log = (build.folder / "out" / "run.log").read_text()
    assert "Traceback" in log
    assert "KeyError: 'nobody thought of it'" in log
    assert build.run(teacher.url, "out", "--retry_failed") == 0


def test_a_full_disk_is_no_items_fault(
    build: SmallBuild, teacher: ScriptedTeacher, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(shard_builder, "write_shard", full)
    assert build.run(teacher.url, "out") == 1
    said = capfd.readouterr().err
    assert "train-0000" in said
    assert "the disk is full: make room" in said
    assert "Traceback" not in said


def test_an_answer_that_cannot_be_kept_ends_the_run_with_a_line(
    build: SmallBuild, teacher: ScriptedTeacher, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def full(self: Journal, *_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Journal, "_write", full)
    assert build.run(teacher.url, "out") == 1
    said = capfd.readouterr().err
    assert "a paid answer could not be written" in said
    assert "Traceback" not in said
    assert not list((build.folder / "out" / "rejects").glob("*"))


def test_counts_are_right_whatever_the_threads_do(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor
    from types import SimpleNamespace

    from videorouter.data_builders.building.ledger import Caps
    from videorouter.data_builders.building.plan import ShardJob

    ledger = Ledger.open(tmp_path, None, Caps(), None)
    count = _Count(ledger, ShardJob(tmp_path / "train-00000.tar", ()))
    built = (SimpleNamespace(questions=[1, 2]), [Reject("q", "teacher", "refused", "")])
    with ThreadPoolExecutor(16) as threads:
        list(threads.map(lambda _: count.add(built), range(70)))  # type: ignore[arg-type]
    totals = ledger.totals()
    assert (totals.videos, totals.questions, totals.failures) == (70, 140, 70)
