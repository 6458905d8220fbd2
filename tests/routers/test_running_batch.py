"""Prompts that join and leave a running batch get what each gets alone, and what befalls one is nothing to the others."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.routers.tiny_backbones import SQUARE, all_kept, some_kept, video, write_tiny
from videorouter.routers.backbones.finite import NotFiniteError
from videorouter.routers.backbones.loading import load_backbone
from videorouter.routers.backbones.prefill import hidden_states
from videorouter.routers.backbones.prompt import Prompt, SharedPrefix
from videorouter.routers.backbones.running_batch import Row, RunningBatch, greedy

SECONDS = (0.5, 1.5, 2.5, 3.5)
WINDOWS: dict[str, Any] = {
    "head_dim": 16, "sliding_window": 8, "num_local_experts": 4, "num_experts_per_tok": 2,
    "layer_types": ["sliding_attention", "full_attention"] * 2,
}  # fmt: skip
DYNAMIC: dict[str, Any] = {
    "rope_parameters": {"rope_type": "dynamic", "factor": 4.0, "rope_theta": 10_000.0}, "max_position_embeddings": 96,
}  # fmt: skip
MOST = 9


@pytest.fixture(scope="module", params=["internvl", "qwen2_5_vl", "qwen3_vl", "windows", "dynamic"])
def backbone(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder: Path = tmp_path_factory.mktemp(request.param) / "model"
    if request.param == "windows":
        write_tiny(folder, "internvl", "gpt_oss", text=WINDOWS)
    elif request.param == "dynamic":
        write_tiny(folder, "internvl", text=DYNAMIC)
    else:
        write_tiny(folder, request.param)
    return load_backbone(str(folder), device="cpu", **SQUARE.get(request.param, {}))


@pytest.fixture(scope="module")
def prompts(backbone: Any) -> list[Prompt]:
    """Of a whole video, parts of it, and text alone, all of other lengths."""
    tokens = backbone.encode_frames(video(4))
    seconds = SECONDS[: len(tokens)] if backbone.frames_per_patch == 1 else SECONDS
    alone = backbone.embed_message("What is a video?")
    return [
        backbone.embed_prompt(all_kept(tokens), "Why?", seconds),
        backbone.embed_prompt(some_kept(tokens, torch.arange(3, 11)), "What is shown?", seconds),
        backbone.embed_prompt(some_kept(tokens, torch.arange(0, 2)), "What is shown first, and where is it?", seconds),
        Prompt(alone[None], torch.zeros(0, dtype=torch.int64)),
        backbone.embed_prompt(some_kept(tokens, torch.arange(1, 27)), "Who comes in, and what is said then?", seconds),
    ]


@pytest.fixture(scope="module")
def expected(backbone: Any, prompts: list[Prompt]) -> list[tuple[list[int], Tensor]]:
    """Of each prompt the ids and logits `[MOST, V]` that runs over all that is there, without a cache, give."""
    return [whole_runs(backbone, prompt) for prompt in prompts]


@torch.no_grad()
def whole_runs(backbone: Any, prompt: Prompt) -> tuple[list[int], Tensor]:
    language = backbone.model.model.language_model
    made, longer = [], prompt
    effective = getattr(language.rotary_emb, "effective", None)
    for _ in range(MOST):
        if effective is not None:  # decoding keeps the frequencies of the prompt
            language.rotary_emb.effective = lambda length: effective(len(prompt))
        try:
            made.append(backbone.model.lm_head(hidden_states(language, longer)[0, -1]))
        finally:
            if effective is not None:
                del language.rotary_emb.effective
        longer = longer.followed_by(backbone.embed_ids(made[-1].argmax()[None]))
    return [int(one.argmax()) for one in made], torch.stack(made)


class Watched:
    """The likeliest token, and the logits that every one was chosen by."""

    def __init__(self) -> None:
        self.seen: list[Tensor] = []

    def __call__(self, logits: Tensor) -> int:
        self.seen.append(logits)
        return greedy(logits)


def running(backbone: Any) -> RunningBatch:
    return RunningBatch(backbone.model, set())


def finish(batch: Any) -> list[Row]:
    """Those that end, in their order, until none runs."""
    over: list[Row] = []
    while len(batch):
        over += batch.step()
    return over


@pytest.mark.parametrize("seed", range(4))
def test_rows_that_join_and_leave_at_random_get_what_each_prompt_gets_alone(
    backbone: Any, prompts: list[Prompt], expected: list[tuple[list[int], Tensor]], seed: int
) -> None:
    draw, batch = random.Random(seed), running(backbone)
    rows: list[tuple[int, int, Row, Watched]] = []
    ended: list[Row] = []
    left: set[Row] = set()
    while len(rows) < 14 or len(batch):
        while len(rows) < 14 and draw.random() < 0.6:
            which, limit, watched = draw.randrange(len(prompts)), draw.randint(1, MOST), Watched()
            row = batch.join(prompts[which], limit, choose=watched)
            assert row.running == (limit > 1)
            rows.append((which, limit, row, watched))
        if draw.random() < 0.25 and (those := [row for _, _, row, _ in rows if row.running]):
            batch.leave(leaving := draw.choice(those))
            left.add(leaving)
        ended += batch.step()
        assert len(batch) == sum(row.running for _, _, row, _ in rows)
    assert len(left) > 0
    assert set(ended) == {row for _, limit, row, _ in rows if row not in left and limit > 1}
    for which, limit, row, watched in rows:
        ids, logits = expected[which]
        assert len(row.ids) == limit if row not in left else 1 <= len(row.ids) < limit
        assert row.ids == ids[: len(row.ids)]
        assert not row.ended
        torch.testing.assert_close(torch.stack(watched.seen), logits[: len(row.ids)], atol=1e-3, rtol=1e-4)


def test_the_end_token_ends_its_row_alone(
    backbone: Any, prompts: list[Prompt], expected: list[tuple[list[int], Tensor]]
) -> None:
    end = expected[0][0][2]
    batch = RunningBatch(backbone.model, {end})
    rows = [batch.join(prompt, MOST) for prompt in prompts]
    finish(batch)
    for row, (ids, _) in zip(rows, expected, strict=True):
        assert row.ended == (end in ids)
        assert row.ids == (ids[: ids.index(end) + 1] if end in ids else ids)


def test_a_first_token_that_ends_the_answer_never_joins(backbone: Any, prompts: list[Prompt]) -> None:
    first = running(backbone).join(prompts[0], 1).ids[0]
    batch = RunningBatch(backbone.model, {first})
    row = batch.join(prompts[0], MOST)
    assert (row.ids, row.ended, row.running, len(batch), batch.cached_tokens) == ([first], True, False, 0, 0)
    assert row.prefill_seconds > 0
    assert batch.step() == []


def test_the_cache_shrinks_to_those_that_remain(backbone: Any, prompts: list[Prompt]) -> None:
    batch = running(backbone)
    long, short = max(prompts, key=len), min(prompts, key=len)
    stays = batch.join(short, 200)
    assert batch.cached_tokens == len(short)
    leaves = batch.join(long, 200)
    batch.step()
    assert batch.cached_tokens == 2 * (len(long) + 1)
    batch.leave(leaves)
    assert batch.cached_tokens == stays.held == len(short) + 1
    for _ in range(12):  # one token and a long prompt each time
        batch.join(long, 2)
        assert len(batch.step()) == 1
        assert batch.cached_tokens == stays.held
    batch.leave(stays)
    assert (len(batch), batch.cached_tokens) == (0, 0)


def test_limits_are_each_rows_own(
    backbone: Any, prompts: list[Prompt], expected: list[tuple[list[int], Tensor]]
) -> None:
    batch = running(backbone)
    rows = [batch.join(prompt, limit) for limit, prompt in enumerate(prompts, 2)]
    assert finish(batch) == rows
    assert [row.ids for row in rows] == [ids[:limit] for limit, (ids, _) in enumerate(expected, 2)]
    assert [row.ended for row in rows] == [False] * len(rows)
    assert all(row.generate_seconds > 0 for row in rows)


def test_a_listener_hears_every_token_and_ends_its_row(
    backbone: Any, prompts: list[Prompt], expected: list[tuple[list[int], Tensor]]
) -> None:
    heard: list[list[int]] = []

    def told(row: Row) -> bool:
        heard.append(list(row.ids))
        return len(row.ids) == 3

    batch = running(backbone)
    other = batch.join(prompts[1], MOST)
    row = batch.join(prompts[0], MOST, told=told)
    finish(batch)
    assert heard == [expected[0][0][:count] for count in (1, 2, 3)]
    assert (row.ids, row.ended, row.error) == (expected[0][0][:3], False, None)
    assert other.ids == expected[1][0]


def test_a_prefill_that_fails_leaves_the_others_as_they_were(
    backbone: Any, prompts: list[Prompt], expected: list[tuple[list[int], Tensor]]
) -> None:
    batch = running(backbone)
    row = batch.join(prompts[0], MOST)
    batch.step()
    embeddings = prompts[1].embeddings.clone()
    embeddings[0, 5, 3] = torch.nan
    with pytest.raises(NotFiniteError):
        batch.join(replace(prompts[1], embeddings=embeddings), MOST)
    assert len(batch) == 1
    finish(batch)
    assert row.ids == expected[0][0]


def test_nan_in_a_rows_logits_ends_that_row(
    backbone: Any, prompts: list[Prompt], expected: list[tuple[list[int], Tensor]]
) -> None:
    batch = running(backbone)
    rows = [batch.join(prompt, MOST) for prompt in prompts]
    batch.step()

    def broken(module: Any, given: Any, logits: Tensor) -> Tensor:
        logits[1, 7] = torch.nan
        return logits

    handle = backbone.model.lm_head.register_forward_hook(broken)
    over = batch.step()
    handle.remove()
    assert over == [rows[1]]
    assert isinstance(rows[1].error, NotFiniteError)
    assert (len(rows[1].ids), rows[1].ended) == (2, False)
    finish(batch)
    for number in (0, 2, 3, 4):
        assert rows[number].ids == expected[number][0]
        assert rows[number].error is None


def test_a_listener_that_fails_ends_its_own_row(
    backbone: Any, prompts: list[Prompt], expected: list[tuple[list[int], Tensor]]
) -> None:
    def gone(row: Row) -> None:
        if len(row.ids) > 2:
            raise BrokenPipeError("the client is gone")

    batch = running(backbone)
    row, other = batch.join(prompts[0], MOST, told=gone), batch.join(prompts[2], MOST)
    assert finish(batch) == [row, other]
    assert isinstance(row.error, BrokenPipeError)
    assert other.ids == expected[2][0]
    with pytest.raises(BrokenPipeError):
        backbone.generate(prompts[0], 4, on_text=lambda text: gone(row))


def test_a_pass_that_fails_ends_all_rows_and_the_batch_can_be_used_again(
    backbone: Any, prompts: list[Prompt], expected: list[tuple[list[int], Tensor]]
) -> None:
    batch = running(backbone)
    rows = [batch.join(prompt, MOST) for prompt in prompts[:2]]
    batch.step()
    rows.append(batch.join(prompts[2], MOST))
    with broken_layer(backbone):
        over = batch.step()
    assert over == rows
    assert {str(row.error) for row in over} == {"out of memory"}
    assert (len(batch), batch.cached_tokens) == (0, 0)
    row = batch.join(prompts[3], MOST)
    finish(batch)
    assert row.ids == expected[3][0]


def test_questions_on_one_video_share_its_prefill_and_a_failed_one_is_forgotten(backbone: Any) -> None:
    tokens = all_kept(backbone.encode_frames(video(2)))
    questions = ("What is shown?", "What is shown first, and where?", "Why?")
    made = [backbone.embed_prompt(tokens, question, SECONDS[:2]) for question in questions]
    alone = [whole_runs(backbone, prompt)[0] for prompt in made]
    batch, shared = running(backbone), SharedPrefix()
    with broken_layer(backbone), pytest.raises(MemoryError):
        batch.join(made[0], MOST, shared=shared)
    rows = []
    for prompt in made:
        rows.append(batch.join(prompt, MOST, shared=shared))
        batch.step()
    finish(batch)
    assert [row.ids for row in rows] == alone


@contextmanager
def broken_layer(backbone: Any) -> Iterator[None]:
    """In the body the third decoder layer fails, when two have written to the cache."""

    def fail(module: Any, given: Any) -> None:
        raise MemoryError("out of memory")

    handle = backbone.model.model.language_model.layers[2].register_forward_pre_hook(fail)
    try:
        yield
    finally:
        handle.remove()
