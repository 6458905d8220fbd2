"""`--estimate` says what an answer costs without opening a weight."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from tiny_backbones import write_tiny

from videorouter.routers.__main__ import main


@pytest.fixture
def weightless(base: Path, tmp_path: Path) -> Path:
    """The base as `--estimate` may see it: configs and tokenizer."""
    return Path(shutil.copytree(base, tmp_path / "weightless", ignore=shutil.ignore_patterns("*.safetensors")))


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert main([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_checkpoint_s_cost_is_printed_by_part_and_stage(
    weightless: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    assert main(["estimate", "--model", str(weightless), "--budget", "512"]) == 0
    out = capsys.readouterr().out
    words = (
        "vision",
        "projector",
        "embeddings",
        "head",
        "routers",
        "prefill",
        "to first token",
        "peak memory",
        "GFLOPs",
    )
    assert all(word in out for word in words)


def test_options_reach_the_formulas(weightless: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["estimate", "--model", str(weightless), "--fragment", "0", "--frames", "16"]
    cost = printed(capsys, *arguments, "--scales", "[4, 1, 8]", "--dtype", "bfloat16")
    assert cost["workload"]["scales"] == {"global_scale": 4, "relevant_scale": 1, "irrelevant_scale": 8}
    assert cost["systems"]["videorouter"]["flops"]["square"]["visual"] == 16 * 16 // 4
    assert cost["systems"]["dense"]["flops"]["square"]["visual"] == 16 * 16
    assert cost["bytes"]["head"] == 2 * cost["parameters"]["head"]
    assert 0 < cost["of_dense"]["square"]["first_token"] < 1


def test_an_answer_s_cost_is_that_of_its_question(
    router: Path, weightless: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["answer", "--estimate", "--model", str(router), "--base", str(weightless), "--video", "nowhere.mp4"]
    short = printed(capsys, *arguments, "--question", "Which symbol?", "--policy", "global")
    longer = printed(capsys, *arguments, "--question", "Which symbol is at the top?", "--options", "K", "T")
    assert short["workload"]["fragment"] == 0
    assert short["workload"]["question_tokens"] < longer["workload"]["question_tokens"]
    assert short["workload"]["text_tokens"] < longer["workload"]["text_tokens"]
    assert short["dtype"] == "float32"


def test_screening_has_a_cost_of_its_own(router: Path, weightless: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["answer", "--estimate", "--model", str(router), "--base", str(weightless), "--video", "nowhere.mp4"]
    arguments += ["--question", "Which symbol?", "--policy", "fragment"]
    plain = printed(capsys, *arguments)
    side = 56
    screened = printed(capsys, *arguments, "--system", f"videorouter(screen_side={side})")
    assert screened["workload"]["screen_side"] == side
    assert screened == printed(capsys, *arguments, "--system", f"videorouter(screen_side={side})")
    routing = [cost["systems"]["videorouter"]["flops"]["square"]["router"] for cost in (plain, screened)]
    assert routing[1] < routing[0]
    assert screened["systems"]["dense"] == plain["systems"]["dense"]


def test_a_frame_s_size_and_a_video_s_length_reach_the_formulas(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(write_tiny(tmp_path / "base", "qwen2_5_vl"))
    square = printed(capsys, "estimate", "--model", path, "--frame_size", "448")
    wide = printed(
        capsys, "estimate", "--model", path, "--video_size", "[56,112]", "--min_pixels", "1", "--video_seconds", "4000"
    )
    assert square["systems"]["dense"]["flops"]["square"]["visual"] == 32 * 256
    assert wide["systems"]["dense"]["flops"]["square"]["visual"] == 32 * 2 * 4
    assert wide["systems"]["dense"]["positions"] > 2 * 3875
    assert [line.partition(":")[0] for line in wide["said"]] == ["dense", "videorouter"]


def test_what_has_no_formula_is_refused_in_one_line(router: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["answer", "--estimate", "--model", str(router), "--video", "nowhere.mp4", "--question", "Why?"]
    assert main([*arguments, "--system", "uniform_pooling"]) == 1
    assert (
        capsys.readouterr().err == "error: the cost of 'uniform_pooling' has no formula: there are dense, videorouter\n"
    )


def test_unworkable_options_are_refused_in_one_line(weightless: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["estimate", "--model", str(weightless), "--fragment", "61.7"]) == 1
    assert capsys.readouterr().err == "error: fragment is a share between 0 and 1, not 61.7\n"
