"""`videorouter routers answer` answers, explains itself, and turns user errors into one line."""

import json
from pathlib import Path

import pytest

from videorouter.routers.__main__ import main
from videorouter.routers.answering.printing import sparkline


def video_of(world: Path) -> str:
    return str(sorted((world / "videos").iterdir())[0])


def test_an_answer_shows_policy_relevance_tokens_and_times(
    router: Path, world: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["answer", "--model", str(router), "--video", video_of(world), "--question", "Which symbol?"]
    assert main([*arguments, "--options", "K", "T", "--policy", "fragment"]) == 0
    out = capsys.readouterr().out
    assert all(
        word in out for word in ("answer", "choice", "fragment", "relevance", "tokens/frame", "decode", "prefill")
    )


@pytest.mark.parametrize("system", ["dense", "frame_budget", "uniform_pooling", "videorouter"])
def test_json_holds_the_same_for_every_system(
    system: str, router: Path, world: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["answer", "--model", str(router), "--video", video_of(world), "--question", "Which symbol?"]
    assert main([*arguments, "--system", system, "--budget", "256", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert len(answer["tokens_by_frame"]) == len(answer["frame_seconds"]) == 64
    assert sum(answer["tokens_by_frame"]) == answer["tokens"]
    assert answer["tokens"] == (1024 if system == "dense" else 256) or system == "videorouter"


def test_user_errors_end_as_one_line(router: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["answer", "--model", str(router), "--question", "Which symbol?", "--video"]
    assert main([*arguments, "nowhere.mp4"]) == 1
    assert capsys.readouterr().err == "error: nowhere.mp4: no such file\n"


def test_a_sparkline_has_one_bar_a_value() -> None:
    assert sparkline([0, 0.01, 0.5, 1.0], 1.0) == " ▁▄█"
