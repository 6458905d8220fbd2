"""Questions of the miniature through a real vLLM: routed prompts go as embeddings, and the texts are our own runtime's."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.eval.vllm_server import vllm_server
from videorouter.eval.config import EvalConfig
from videorouter.eval.running.experiment import run
from videorouter.miniature.bases import ROBUST, ROBUST_ROUTER
from videorouter.miniature.world.build import build_world
from videorouter.routers.answering.vllm_engine import EngineError, VllmEngine, encoded_prompt
from videorouter.routers.backbones.prompt import Prompt


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The shipped base; its heads are wider than its width over their number, which vLLM's own class does not read."""
    log = tmp_path_factory.mktemp("vllm") / "log"
    with vllm_server(ROBUST, log, "--model-impl", "transformers") as address:
        yield address


def held_out(folder: Path, videos: int, seed: int) -> Path:
    """A world of so many videos, with eight questions about each."""
    build_world(folder, videos=videos, seconds=64, seed=seed, questions_per_video=8, splits=(0, 0, 100), workers=2)
    return folder


def answered(world: Path, out: Path, **more: Any) -> tuple[list[tuple[str, str, str | None]], float]:
    """(question, text, choice) of every prediction of `videorouter`, and its share of the dense tokens."""
    config = EvalConfig(
        data=world, out=out, model=ROBUST_ROUTER, base=str(ROBUST), systems=["videorouter", "dense"], validation_split=None,
        router_quality=False, device="cpu", answers_at_once=8, budget=265, **more,
    )  # fmt: skip
    run(config)
    failures = out / "failures.jsonl"
    assert not failures.exists() or not failures.read_text()
    rows = [json.loads(line) for line in (out / "predictions.jsonl").read_text().splitlines()]
    fed = {name: sum(sum(row["tokens_by_frame"]) for row in rows if row["system"] == name) for name in config.systems}
    made = [(row["item"], row["text"], row["choice"]) for row in rows if row["system"] == "videorouter"]
    return made, fed["videorouter"] / fed["dense"]


@pytest.mark.vllm
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("videos", "seed"), [(9, 4711), pytest.param(126, 90_210, marks=pytest.mark.slow)])
def test_texts_are_those_of_our_own_runtime(upstream: str, tmp_path: Path, videos: int, seed: int) -> None:
    world = held_out(tmp_path / "world", videos, seed)
    own, _ = answered(world, tmp_path / "own")
    through, share = answered(world, tmp_path / "vllm", engine="vllm", upstream=upstream)
    assert len(own) == 8 * videos
    assert through == own
    assert share <= 0.34


@pytest.mark.vllm
@pytest.mark.timeout(600)
def test_a_prompt_that_the_engine_refuses_is_its_own_words_and_one_line(upstream: str) -> None:
    engine = VllmEngine(upstream)
    long = Prompt(torch.zeros(1, 5000, 256), torch.zeros(0, dtype=torch.int64))
    with pytest.raises(EngineError, match=r"refused \(400\)") as error:
        engine.generate(long, 4)
    assert "\n" not in str(error.value)
    with pytest.raises(EngineError, match="does not serve 'another'"):
        VllmEngine(upstream, "another")


def test_nothing_at_the_address_is_said_before_anything_is_loaded(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"engine at http://127\.0\.0\.1:9/v1 was not reached: is it running"):
        answered(tmp_path / "world", tmp_path / "out", engine="vllm", upstream="http://127.0.0.1:9/v1")
    with pytest.raises(ValueError, match="is no address: give one such as"):
        VllmEngine("127.0.0.1:8000")


def test_prompts_that_embeddings_do_not_carry_are_refused() -> None:
    places = torch.zeros(0, dtype=torch.int64)
    for prompt in (
        Prompt(torch.zeros(1, 4, 8), places, position_ids=torch.zeros(3, 1, 4)),
        Prompt(torch.zeros(1, 4, 8), places, deepstack=(torch.zeros(0, 8),)),
    ):
        with pytest.raises(ValueError, match=r"M-RoPE, deepstack\), which prompt_embeds cannot carry"):
            encoded_prompt(prompt)
    with pytest.raises(ValueError, match="an embedding of the prompt in float32 is not a number"):
        encoded_prompt(Prompt(torch.full((1, 4, 8), torch.nan), places))


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"engine": "vllm"}, "go together"),
        ({"upstream": "http://127.0.0.1:9/v1"}, "go together"),
        ({"engine": "vllm", "upstream": "http://127.0.0.1:9/v1", "scoring": "likelihood"}, "no likelihoods of letters"),
    ],
)
def test_options_that_do_not_fit_are_refused(more: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        EvalConfig(data=Path("there"), out=Path("out"), model=Path("router"), **more)
