"""A second look at boundaries puts right what a window's scores blur; marked frames that are not needed are noticed."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from tests.loopback.serving import served
from videorouter.data_builders.building.labeller import Labelled
from videorouter.data_builders.building.plan import VideoJob, sample_key
from videorouter.data_builders.flr.annotate import ScoringConfig, TeacherLabeller, boundary_ranges
from videorouter.data_builders.flr.filters import ANNOTATED, check_marked_frames, filter_yields
from videorouter.data_builders.rejects import Filtered
from videorouter.data_builders.teacher.config import TeacherConfig
from videorouter.data_builders.teacher.teacher import Teacher
from videorouter.data_builders.videos import FrameConfig, PreparedVideo, VideoFolder
from videorouter.miniature.study.label_quality import f1
from videorouter.miniature.teacher.server import complete
from videorouter.shards.schema import VideoQuestion

WINDOW = 32
Scores = list[dict[str, int]]


@pytest.fixture(scope="module")
def questions(world: Path) -> list[VideoQuestion]:
    """Of the world's first video."""
    lines = (world / "questions.jsonl").read_text().splitlines()
    asked = [VideoQuestion.model_validate_json(line) for line in lines]
    return [question for question in asked if question.video == asked[0].video]


@pytest.fixture(scope="module")
def truth(world: Path) -> dict[str, Any]:
    rows = map(json.loads, (world / "truth.jsonl").read_text().splitlines())
    return {row["id"]: row for row in rows}


@pytest.fixture(scope="module")
def folder(world: Path) -> Iterator[VideoFolder]:
    videos = VideoFolder(FrameConfig(world, frames=64, frame_size=112, quality=98))
    yield videos
    videos.close()


@pytest.fixture(scope="module")
def video(folder: VideoFolder, questions: list[VideoQuestion]) -> PreparedVideo:
    return folder.prepare(questions[0].video)


def careless(spoil: Callable[[Scores], Scores]) -> Starlette:
    """The miniature teacher, whose scores for a whole window are spoilt; fewer frames it scores as they are."""

    async def completions(request: Request) -> JSONResponse:
        completion = complete(await request.json(), 16.0)
        reply = json.loads(completion["choices"][0]["message"]["content"])
        if len(reply.get("scores", [])) == WINDOW:
            completion["choices"][0]["message"]["content"] = json.dumps({**reply, "scores": spoil(reply["scores"])})
        return JSONResponse(completion)

    return Starlette(routes=[Route("/v1/chat/completions", completions, methods=["POST"])])


def late(scores: Scores) -> Scores:
    """Every score a frame too late."""
    before = [scores[0]["score"], *(scored["score"] for scored in scores[:-1])]
    return [{"frame": scored["frame"], "score": score} for scored, score in zip(scores, before, strict=True)]


def none_at_all(scores: Scores) -> Scores:
    return [{"frame": scored["frame"], "score": 0} for scored in scores]


def asked(url: str) -> Teacher:
    return Teacher(TeacherConfig(base_url=f"{url}/v1", model="miniature-teacher"))


def label(
    folder: VideoFolder,
    video: PreparedVideo,
    questions: list[VideoQuestion],
    teacher: Teacher,
    boundary: int,
    check: bool,
) -> Labelled:
    labeller = TeacherLabeller(folder, teacher, ScoringConfig(WINDOW, 50, boundary), necessity=check)
    name = questions[0].video
    return asyncio.run(labeller.label(video, VideoJob(sample_key(name), name, tuple(questions))))


def quality(labelled: Labelled, video: PreparedVideo, truth: dict[str, Any]) -> float:
    """Mean F1 over fragment questions."""
    figures = []
    for one in labelled[0]:
        spans = truth[one.question.id]["evidence_frames"]
        evidence = [any(first <= index < end for first, end in spans) for index in video.record.indices]
        if not all(evidence):
            assert one.relevance is not None
            figures.append(f1(one.relevance.relevant, evidence))
    return sum(figures) / len(figures)


def test_the_frames_around_every_change_are_looked_at_again() -> None:
    relevant = [False] * 10 + [True] * 10 + [False] * 10
    assert boundary_ranges(relevant, 3, 32) == [range(7, 13), range(17, 23)]
    assert boundary_ranges(relevant, 6, 32) == [range(4, 26)]
    assert boundary_ranges(relevant, 6, 16) == [range(4, 16), range(14, 26)]
    assert boundary_ranges([True, False], 4, 32) == [range(0, 2)]
    assert boundary_ranges(relevant, 0, 32) == boundary_ranges([True] * 8, 3, 32) == []


def test_a_second_look_puts_late_scores_right(
    folder: VideoFolder, video: PreparedVideo, questions: list[VideoQuestion], truth: dict[str, Any]
) -> None:
    with served(careless(late)) as url:
        once = quality(label(folder, video, questions, asked(url), 0, False), video, truth)
        twice = quality(label(folder, video, questions, asked(url), 3, False), video, truth)
    assert once < 0.8
    assert twice == 1.0


def test_questions_whose_marked_frames_are_not_needed_are_put_aside(
    folder: VideoFolder, video: PreparedVideo, questions: list[VideoQuestion]
) -> None:
    with served(careless(none_at_all)) as url:
        labelled, rejects = label(folder, video, questions, asked(url), 0, True)
    assert labelled == []
    assert {(reject.stage, reject.verdict) for reject in rejects} == {("filter", "necessity")}
    (row,) = filter_yields(rejects, len(labelled), ANNOTATED)
    assert (row.entered, row.passed) == (len(questions), 0)


def test_right_labels_pass_the_necessity_check_and_keep_the_teachers_reason(
    folder: VideoFolder, video: PreparedVideo, questions: list[VideoQuestion], teacher: str
) -> None:
    labelled, rejects = label(folder, video, questions, asked(teacher.removesuffix("/v1")), 3, True)
    assert [one.question for one in labelled] == questions
    assert rejects == []
    assert all(one.reason and one.reason.startswith("recognised as") for one in labelled)


def test_a_question_about_the_whole_video_needs_no_proof(video: PreparedVideo, questions: list[VideoQuestion]) -> None:
    nobody = Teacher(TeacherConfig(base_url="http://127.0.0.1:9/v1", attempts=0))
    asyncio.run(check_marked_frames(nobody, video, questions[0], [True] * 64))
    assert nobody.usage.requests == 0


def test_a_wrong_answer_is_no_proof_against_a_question_that_has_a_known_one(
    video: PreparedVideo, questions: list[VideoQuestion], teacher: str
) -> None:
    question = next(question for question in questions if question.task_type == "never_shown")
    assert question.options is not None
    wrong = next(option for option in question.options if option != question.answer)

    def check(answer: str | None) -> Awaitable[None]:
        changed = question.model_copy(update={"answer": answer})
        return check_marked_frames(asked(teacher.removesuffix("/v1")), video, changed, [False] * 64)

    asyncio.run(check(wrong))  # type: ignore[arg-type]
    for answer in (question.answer, None):
        with pytest.raises(Filtered, match="without the 0 frames"):
            asyncio.run(check(answer))  # type: ignore[arg-type]
