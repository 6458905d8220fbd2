"""Questions of the miniature through a real vLLM: routed prompts go as embeddings, and the texts are our own runtime's."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.loopback.serving import served
from videorouter.eval.config import EvalConfig
from videorouter.eval.running.experiment import run
from videorouter.miniature.bases import ROBUST, ROBUST_ROUTER
from videorouter.miniature.world.build import build_world
from videorouter.routers.answering.vllm_engine import EngineError, VllmEngine, encoded_prompt
from videorouter.routers.backbones.prompt import Prompt

PROMPT = Prompt(torch.zeros(1, 4, 8), torch.zeros(0, dtype=torch.int64))


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
def test_texts_are_those_of_our_own_runtime(shipped_vllm: str, tmp_path: Path, videos: int, seed: int) -> None:
    world = held_out(tmp_path / "world", videos, seed)
    own, _ = answered(world, tmp_path / "own")
    through, share = answered(world, tmp_path / "vllm", engine="vllm", upstream=shipped_vllm)
    assert len(own) == 8 * videos
    assert through == own
    assert share <= 0.34


@pytest.mark.vllm
@pytest.mark.timeout(600)
def test_a_prompt_that_the_engine_refuses_is_its_own_words_and_one_line(shipped_vllm: str) -> None:
    engine = VllmEngine(shipped_vllm)
    long = Prompt(torch.zeros(1, 5000, 256), torch.zeros(0, dtype=torch.int64))
    with pytest.raises(EngineError, match=r"refused \(400\)") as error:
        engine.generate(long, 4)
    assert "\n" not in str(error.value)
    with pytest.raises(EngineError, match="does not serve 'another'"):
        VllmEngine(shipped_vllm, "another")


def test_nothing_at_the_address_is_said_before_anything_is_loaded(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"engine at http://127\.0\.0\.1:9/v1 was not reached: is it running"):
        answered(tmp_path / "world", tmp_path / "out", engine="vllm", upstream="http://127.0.0.1:9/v1")
    with pytest.raises(ValueError, match="is no address: give one such as"):
        VllmEngine("127.0.0.1:8000")


def streaming(*events: dict[str, Any]) -> Starlette:
    """An engine that streams these events, whatever it is asked; what it was asked last is its `state.asked`."""

    async def completions(request: Request) -> Response:
        application.state.asked = await request.json()
        lines = [f"data: {json.dumps(EVENT | event)}\n\n" for event in events]
        return Response("".join([*lines, "data: [DONE]\n\n"]), media_type="text/event-stream")

    async def models(request: Request) -> Response:
        return JSONResponse(
            {"object": "list", "data": [{"id": "tiny", "object": "model", "created": 0, "owned_by": ""}]}
        )

    application = Starlette(
        routes=[Route("/v1/completions", completions, methods=["POST"]), Route("/v1/models", models)]
    )
    return application


EVENT = {"id": "cmpl-1", "object": "text_completion", "created": 0, "model": "tiny"}


def said(text: str, finish: str | None = None) -> dict[str, Any]:
    """As vLLM writes an event of a stream."""
    return {"choices": [{"index": 0, "text": text, "logprobs": None, "finish_reason": finish, "stop_reason": None}]}


USAGE = {"choices": [], "usage": {"prompt_tokens": 4, "total_tokens": 7, "completion_tokens": 3}}


@pytest.mark.parametrize(("finish", "ended"), [("stop", True), ("length", False)])
def test_tokens_and_the_end_are_what_the_engine_says(finish: str, ended: bool) -> None:
    pieces: list[str] = []
    application = streaming(said(" A"), said(" car"), said("", finish), USAGE)
    with served(application) as address:
        made = VllmEngine(f"{address}/v1").generate(PROMPT, 8, on_text=pieces.append)
    assert (made.text, made.tokens, made.ended) == ("A car", 3, ended)
    assert pieces == [" A", " car"]
    assert application.state.asked["stream_options"] == {"include_usage": True}


@pytest.mark.parametrize("events", [(said(" A"), said("", "stop")), (said(" A"), USAGE), ()])
def test_a_stream_that_breaks_off_is_no_answer(events: tuple[dict[str, Any], ...]) -> None:
    with (
        served(streaming(*events)) as address,
        pytest.raises(EngineError, match="broke off: its answer has no end, or does not say its tokens"),
    ):
        VllmEngine(f"{address}/v1").generate(PROMPT, 8)


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
