"""A run that is killed in the middle of a streak leaves verdicts that the same command takes back."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from starlette.responses import Response

from tests.data_builders.scripted_teacher import Asked, ScriptedTeacher, refusal, reply, scripted_teacher
from tests.data_builders.small_builds import SmallBuild

ANNOTATE, QTR = ("flr", "annotate"), ("qtr",)
IN_TWOS = ("--videos_per_shard", "2", "--window", "4")


@pytest.fixture
def teacher() -> Iterator[ScriptedTeacher]:
    with scripted_teacher() as serving:
        yield serving


@pytest.fixture
def build(world: Path, tmp_path: Path) -> SmallBuild:
    """Twelve videos of one question each."""
    return SmallBuild(world, tmp_path)


def refused(asked: Asked) -> Response:
    return refusal("this model takes no such thing")


def prose(asked: Asked) -> Response:
    return reply(f"Certainly! Here is number {asked.number}.")


def kill_in_a_streak(
    build: SmallBuild,
    teacher: ScriptedTeacher,
    bad: Callable[[Asked], Response],
    builder: tuple[str, ...],
    *options: str,
) -> None:
    """Videos 00-02 are answered, 03-06 are not, 07 never comes to an end: then the whole group is killed."""
    reached, over = threading.Event(), threading.Event()

    def script(asked: Asked) -> Response | None:
        if asked.video >= "v07" and any(one.video == "v06" for one in teacher.seen):
            reached.set()
            over.wait(60)
        return bad(asked) if asked.video >= "v03" and teacher.good else None

    teacher.script = script
    process = build.begin(teacher.url, "out", *options, builder=builder)
    try:
        assert reached.wait(60)
        time.sleep(0.5)  # what was met before is written
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        over.set()
        teacher.script = lambda asked: None


@pytest.mark.parametrize(
    ("builder", "bad"),
    [
        (ANNOTATE, refused),
        pytest.param(ANNOTATE, prose, marks=pytest.mark.slow),
        pytest.param(QTR, prose, marks=pytest.mark.slow),
    ],
)
def test_the_same_command_asks_again_what_was_in_doubt_when_it_was_killed(
    bad: Callable[[Asked], Response], builder: tuple[str, ...], build: SmallBuild, teacher: ScriptedTeacher
) -> None:
    options = (*IN_TWOS, "--teacher.concurrency", "1")
    kill_in_a_streak(build, teacher, bad, builder, *options)
    if builder == ANNOTATE:
        assert "train-00001.tar" in build.left("out")  # of one video, with the other one put aside
    before = len(teacher.good)
    assert build.run(teacher.url, "out", *options, builder=builder) == 0
    needed = len(teacher.good)
    assert not list((build.folder / "out" / "doubts").glob("*"))
    assert build.run(teacher.url, "undisturbed", *options, builder=builder) == 0
    assert build.shards("out") == build.shards("undisturbed")
    assert before < needed == len(teacher.good) - needed


def test_what_was_known_to_be_an_items_own_when_the_run_was_killed_is_not_asked_again(
    build: SmallBuild, teacher: ScriptedTeacher
) -> None:
    def one_alone(asked: Asked) -> Response:
        return refused(asked) if asked.video == "v04" else reply(GOOD)

    options = (*IN_TWOS, "--teacher.concurrency", "1")
    kill_in_a_streak(build, teacher, one_alone, ANNOTATE, *options)
    asked = len(teacher.seen)
    assert build.run(teacher.url, "out", *options) == 3
    assert build.quarantine("out") == {"v04-0": "refused"}
    assert all(one.video >= "v07" for one in teacher.seen[asked:])


GOOD = '{"scores": [' + ", ".join(f'{{"frame": {n}, "score": 0}}' for n in range(1, 5)) + '], "reason": ""}'
