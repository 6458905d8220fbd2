"""One video, many questions: each answer is what it would be alone; what was chosen can be taken elsewhere."""

import json
import mmap
from pathlib import Path

import pytest
import torch

from videorouter.routers.__main__ import main
from videorouter.routers.answering.answer import AskedQuestion
from videorouter.routers.answering.video_router import VideoRouter
from videorouter.routers.systems.query import ANSWER_WITH_LETTER
from videorouter.routers.systems.registry import SYSTEMS

QUESTIONS = [
    AskedQuestion("Which symbol is shown first?"),
    AskedQuestion("How many scenes?", ("1", "2", "3")),
    AskedQuestion("Why?"),
]


@pytest.fixture(scope="module")
def loaded(router: Path) -> VideoRouter:
    return VideoRouter.from_pretrained(router)


@pytest.fixture(scope="module")
def clip(world: Path) -> Path:
    return sorted((world / "videos").iterdir())[0]


@pytest.mark.parametrize("system", ["videorouter", "uniform_pooling", "videorouter(screen_side=56)", "adapttoken"])
def test_many_questions_on_one_video_are_answered_as_each_alone(
    loaded: VideoRouter, clip: Path, system: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = [loaded.answer(clip, asked.question, asked.options, budget=256, system=system) for asked in QUESTIONS]
    decoded: list[object] = []
    monkeypatch.setattr("videorouter.routers.answering.watched_video.sample_frames", _counting(decoded))
    together = list(loaded.answer_all(clip, QUESTIONS, budget=256, system=system))
    assert len(decoded) == 1
    for one, other in zip(alone, together, strict=True):
        assert (one.text, one.choice, one.policy, one.tokens) == (other.text, other.choice, other.policy, other.tokens)
        assert one.plan == other.plan


def _counting(calls: list[object]) -> object:
    from videorouter.video.decode import sample_frames

    def counted(*given: object, **more: object) -> object:
        calls.append(given)
        return sample_frames(*given, **more)  # type: ignore[arg-type]

    return counted


def test_a_watched_video_serves_every_system(loaded: VideoRouter, clip: Path) -> None:
    lazily, at_once = loaded.watch(clip, on_demand=True), loaded.watch(clip)
    for system in ("frame_budget", "videorouter(screen_side=56)"):
        first, second = (loaded.answer(v, "Which?", budget=256, system=system) for v in (lazily, at_once))
        assert (first.text, first.tokens_by_frame) == (second.text, second.tokens_by_frame)


@pytest.mark.parametrize(
    ("system", "told"),
    [
        ("dense", "follows none"),
        ("fca+random_drop", "follows none"),
        ("adapttoken", "follows none"),
        ("videorouter(policy=fragment)", "written with 'fragment'"),
        ("fca+videorouter(policy=fragment)", "written with 'fragment'"),
    ],
)
def test_a_policy_that_a_system_does_not_follow_is_refused(
    loaded: VideoRouter, router: Path, clip: Path, capsys: pytest.CaptureFixture[str], system: str, told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        loaded.system(system, policy="global")
    asked = ["--model", str(router), "--video", str(clip), "--question", "Which?"]
    assert main(["answer", *asked, "--system", system, "--policy", "global"]) == 1
    assert told in capsys.readouterr().err


def test_a_policy_is_forced_on_routed_systems(loaded: VideoRouter, clip: Path) -> None:
    for system in ("videorouter", "fca+videorouter", "videorouter(smoothing=2)", "videorouter(policy=global)"):
        assert loaded.answer(clip, "Which?", frames=8, system=system, policy="global").policy == "global"


def test_the_answer_is_told_as_it_grows(loaded: VideoRouter, clip: Path) -> None:
    pieces: list[str] = []
    answer = loaded.answer(clip, "Which symbol?", max_new_tokens=8, on_text=pieces.append)
    assert "".join(pieces).strip() == answer.text
    assert all(pieces)


def test_stages_and_memory_are_told(loaded: VideoRouter, clip: Path) -> None:
    answer = loaded.answer(clip, "Which symbol?", frames=16, system="videorouter(screen_side=56)", policy="fragment")
    stages = answer.seconds_by_stage
    assert list(stages) == ["decode", "vision", "route", "prefill", "generate", "total"]
    assert all(seconds >= 0 for seconds in stages.values())
    assert stages["vision"] > 0
    assert stages["total"] == pytest.approx(sum(stages.values()) - stages["total"])
    assert answer.peak_memory is None or answer.peak_memory > 10**7
    assert len(answer.tokens_by_frame) == 16


def test_peak_memory_sees_what_was_held_and_let_go() -> None:
    from videorouter.routers.answering.peak_memory import peak_memory

    device = torch.device("cpu")
    with peak_memory(device) as small:
        pass
    with (
        peak_memory(device) as large,
        mmap.mmap(-1, 64 * 2**20) as fresh,
    ):  # what malloc gives may have been resident before
        fresh.write(b"\1" * len(fresh))
    if small.bytes is None or large.bytes is None:
        pytest.skip("this system does not tell a process its peak")
    assert large.bytes - small.bytes > 48 * 2**20


def test_a_plan_says_which_frames_how_finely(router: Path, clip: Path, tmp_path: Path) -> None:
    for policy in ("fragment", "global"):
        arguments = ["answer", "--model", str(router), "--video", str(clip), "--question", "Which?", "--policy", policy]
        assert main([*arguments, "--budget", "200", "--plan-out", str(tmp_path / "plan.jsonl"), "--stream"]) == 0
    rows = [json.loads(line) for line in (tmp_path / "plan.jsonl").read_text().splitlines()]
    assert [row["policy"] for row in rows] == ["fragment", "global"]
    for row in rows:
        assert (row["video"], row["question"], len(row["frames"])) == (str(clip), "Which?", 64)
        assert row["fps"] > 0
        assert row["duration"] == pytest.approx(20, abs=1)
        kept = [frame for frame in row["frames"] if frame["tokens"]]
        assert 0 < sum(frame["tokens"] for frame in kept) <= 200
        assert all(f["tokens"] == pytest.approx(16 / f["scale"], abs=0.01) for f in kept)
        assert (row["height"], row["width"], row["merged"]) == (112, 112, 1)
        shown = row["pictures"]  # InternVL has no smaller picture: the base sees one tile of each or nothing
        assert len(shown) == min(sum(frame["tokens"] for frame in kept) // 16, len(kept))
        assert {(picture["height"], picture["width"], picture["tokens"]) for picture in shown} == {(112, 112, 16)}
        assert all(row["frames"][picture["place"]]["tokens"] for picture in shown)
        assert all(frame["scale"] is None for frame in row["frames"] if not frame["tokens"])
        seconds = [frame["second"] for frame in row["frames"]]
        assert seconds == sorted(seconds)
    assert all(0 <= frame["score"] <= 1 for frame in rows[0]["frames"])
    assert all(frame["score"] is None for frame in rows[1]["frames"])


@pytest.mark.parametrize("system", [name for name in SYSTEMS if name not in ("oracle", "relevance_pooling")])
def test_every_system_answers_about_a_real_clip(real_data: Path, router: Path, system: str) -> None:
    arguments = ["answer", "--model", str(router), "--question", "What is on the stove?", "--budget", "256"]
    assert main([*arguments, "--video", str(real_data / "videos" / "flipping_a_pancake.mkv"), "--system", system]) == 0


def test_the_model_is_asked_in_the_words_given_and_the_routers_read_the_question(
    loaded: VideoRouter, clip: Path
) -> None:
    question, options = "Which symbol is shown?", ["K", "T"]
    own = "\n".join([question, "Options:", "(A) K", "(B) T", ANSWER_WITH_LETTER])
    worded, other, usual = loaded.answer_all(
        clip,
        [
            AskedQuestion(question, options, own),
            AskedQuestion(question, options, "Say B."),
            AskedQuestion(question, options),
        ],
        budget=256,
    )
    assert (worded.text, worded.relevance, worded.tokens) == (usual.text, usual.relevance, usual.tokens)
    assert (other.relevance, other.policy) == (usual.relevance, usual.policy)
