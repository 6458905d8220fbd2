"""The serving benchmark runs from end to end on a small model, and its own counts are what the published mix says."""

import json
import os
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest
import torch

from benchmarks.serving import FRAGMENT, LOAD, REPEATED
from benchmarks.serving_model import FRAME_LABEL, QUESTION, QUESTION_TOKENS, TEXT_TOKENS
from benchmarks.serving_process import RELEVANT, counts, forced
from videorouter.miniature.pretraining.model import train_tokenizer


def test_forced_relevance_is_the_published_share_and_other_frames_each_time() -> None:
    assert sum(islice(counts(), 5)) / 5 == pytest.approx(RELEVANT)
    image = torch.nn.Identity()
    forced(image)
    found = [image(torch.rand(1, 64))[0] for _ in range(5)]
    assert [int(row.sum()) for row in found] == [18, 17, 18, 17, 18]
    assert len({tuple(row.tolist()) for row in found}) == 5


def test_prompts_have_the_tokens_that_the_reckoning_says() -> None:
    tokenizer = train_tokenizer()
    labels = "".join(f"{FRAME_LABEL.removesuffix('1')}{frame}: <img></img>\n" for frame in range(1, 65))
    assert len(tokenizer(labels)["input_ids"]) / 64 == pytest.approx(9, abs=0.2)
    asked = tokenizer.apply_chat_template(
        [{"role": "user", "content": QUESTION}], tokenize=False, add_generation_prompt=True
    )
    assert [len(tokenizer(text)["input_ids"]) for text in (QUESTION, asked)] == [QUESTION_TOKENS, TEXT_TOKENS]
    assert LOAD.per_frame == REPEATED.per_frame == 64
    assert pytest.approx(0.617, abs=0.01) == FRAGMENT


@pytest.mark.vllm
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_whole_of_it_runs_on_a_small_model(tmp_path: Path) -> None:
    home = os.environ.get("VIDEOROUTER_VLLM")
    if not home:
        pytest.skip("VIDEOROUTER_VLLM is not set: `make test-vllm` makes an environment with vLLM and sets it")
    out = tmp_path / "figures.json"
    command = [sys.executable, "-m", "benchmarks.serving", "--quick", "--vllm", home, "--out", str(out)]
    made = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2], check=False)
    assert made.returncode == 0, made.stderr[-3000:]
    figures = json.loads(out.read_text())
    assert [row["system"] for row in figures["load"]] == ["dense", "(2; 1,4)", "(4; 1,8)"]
    assert figures["second"]["again"] == 0
    assert figures["second"]["ratio"] < 1
