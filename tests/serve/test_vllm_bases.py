"""Other bases and precisions under a real vLLM: bfloat16, heads of standard width by vLLM's own class, and whole videos."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.loopback.vllm import vllm_server
from tests.serve.server_process import server_process
from tests.serve.world_questions import WorldQuestions, answered, metric
from videorouter.miniature.bases import ROBUST
from videorouter.miniature.pretraining.model import (
    WRITING,
    new_model,
    save_base,
    train_tokenizer,
    write_untrained_router,
)
from videorouter.routers.answering.video_router import VideoRouter

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(600)]
BUDGET: dict[str, Any] = {"videorouter": {"budget": 265}}


@pytest.fixture(scope="module")
def native(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(router, base) with random weights: four heads of 64 in a width of 256, and layers that say more than what they read."""
    folder, tokenizer = tmp_path_factory.mktemp("native"), train_tokenizer()
    torch.manual_seed(1)
    model = new_model(tokenizer, width=256)
    for name, weight in model.model.language_model.named_parameters():
        if "o_proj.weight" in name or "down_proj.weight" in name:
            weight.data /= WRITING
    base = save_base(folder / "native-base", model, tokenizer, "")
    return write_untrained_router(folder / "router", base), base


@pytest.fixture(scope="module")
def natively(native: tuple[Path, Path], asked: WorldQuestions, vllm_log: Path) -> Iterator[str]:
    """Our server in front of a vLLM that runs that base by its own class."""
    router, base = native
    with vllm_server(base, vllm_log, "--limit-mm-per-prompt", '{"video": 2, "image": 8}') as upstream:
        options = ("--model", str(router), "--engine", "vllm", "--upstream", upstream)
        with server_process(base, *options, "--media_root", str(asked.folder)) as address:
            yield address


def test_texts_of_a_base_with_heads_of_standard_width_are_our_own_runtimes(
    natively: str, native: tuple[Path, Path], asked: WorldQuestions
) -> None:
    router, base = native
    own = VideoRouter.from_pretrained(router, base=str(base), device="cpu")
    watched = own.watch(asked.video(asked.rows[0]))
    texts = [
        (answered(natively, asked.body(number, max_tokens=6, **BUDGET))["choices"][0]["message"]["content"].strip(),
         own.answer(watched, row["question"], row["options"], 265, max_new_tokens=6).text)
        for number, row in enumerate(asked.rows[:8])
    ]  # fmt: skip
    assert [through for through, _ in texts] == [expected for _, expected in texts]
    assert len({expected for _, expected in texts}) > 2  # they follow what is asked, or this would show nothing


def test_several_videos_reach_the_engine_untouched_and_the_answer_says_so(natively: str, asked: WorldQuestions) -> None:
    content = [{"type": "video_url", "video_url": {"url": asked.data_url(number)}} for number in (0, 8)]
    text = {"type": "text", "text": "Which background is in both?"}
    bodies = [
        {"messages": [{"role": "user", "content": [*videos, text]}], "max_tokens": 4}
        for videos in (content, content[:1])
    ]
    both, one = (answered(natively, body | {"videorouter": {"system": "dense"}}) for body in bodies)
    assert both["videorouter"] == {
        "engine": "vllm",
        "passed_through": "several videos",
        "seconds": both["videorouter"]["seconds"],
    }
    assert both["usage"]["prompt_tokens"] > 1.5 * 16 * 32  # vLLM samples 32 frames of each
    assert one["videorouter"]["tokens"] == one["videorouter"]["dense_tokens"] == 64 * 16


@pytest.fixture(scope="module")
def halved(vllm_log: Path, asked: WorldQuestions, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Two of our servers in front of a vLLM in bfloat16: one sends float32, one what the engine computes in."""
    shared = ("--base", str(ROBUST), "--engine", "vllm", "--media_root", str(asked.folder), "--dtype", "float32")
    folders = [tmp_path_factory.mktemp(name) for name in ("float32", "bfloat16")]
    with (
        vllm_server(ROBUST, vllm_log, "--model-impl", "transformers", "--dtype", "bfloat16") as upstream,
        server_process(folders[0], *shared, "--upstream", upstream) as wide,
        server_process(folders[1], *shared, "--upstream", upstream, "--upstream_dtype", "bfloat16") as narrow,
    ):
        yield {"float32": wide, "bfloat16": narrow}


def test_an_engine_in_bfloat16_is_sent_half_the_bytes_and_answers_the_same(
    halved: dict[str, str], asked: WorldQuestions
) -> None:
    texts = {
        dtype: [
            answered(address, asked.body(number, max_tokens=8))["choices"][0]["message"]["content"]
            for number in range(6)
        ]
        for dtype, address in halved.items()
    }
    assert texts["bfloat16"] == texts["float32"]
    bytes_sent = {dtype: metric(address, "videorouter_embedding_bytes_total") for dtype, address in halved.items()}
    assert bytes_sent["bfloat16"] == pytest.approx(bytes_sent["float32"] / 2, rel=0.02)
    right = [
        row["options"][ord(text) - ord("A")] == row["answer"]
        for row, text in zip(asked.rows, texts["bfloat16"], strict=False)
    ]
    assert sum(right) >= 3
