"""Questions answered together are told by the questions alone, get what each gets alone, and fail alone."""

from collections.abc import Sequence
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.progress import Progress

from videorouter.eval.benchmarks.items import Item
from videorouter.eval.benchmarks.registry import load_items
from videorouter.eval.run_folder import Prediction
from videorouter.eval.running.distribution import batches, packs
from videorouter.eval.running.runner import Runner
from videorouter.eval.running.unfinished_run import Journal
from videorouter.routers.answering.video_router import VideoRouter
from videorouter.routers.backbones.prompt import Prompt

SYSTEMS = ("videorouter", "frame_budget")


@given(st.lists(st.integers(1, 9), max_size=12), st.integers(1, 8))
def test_a_pack_is_whole_videos_and_a_batch_no_more_than_asked_for(counts: list[int], at_once: int) -> None:
    items = [
        Item(f"{video}-{number}", Path(f"{video}.mkv"), "What?", ("a", "b"), "A", {"kind": "any"})
        for video, count in enumerate(counts)
        for number in range(count)
    ]
    packed = list(packs(items, at_once))
    assert [item for pack in packed for item in pack] == items
    for pack, following in pairwise(packed):
        assert pack[-1].video != following[0].video
        more = sum(item.video == following[0].video for item in following)
        assert len(pack) + more > at_once
    for pack in packed:
        assert len(pack) <= at_once or len({item.video for item in pack}) == 1
        cut = list(batches(pack, at_once))
        assert [item for batch in cut for item in batch] == pack
        assert all(len(batch) <= at_once for batch in cut)


@pytest.fixture(scope="module")
def loaded(router: Path) -> VideoRouter:
    return VideoRouter.from_pretrained(router)


@pytest.fixture(scope="module")
def items(world: Path) -> list[Item]:
    """Three of each of two videos."""
    all_items = load_items("miniature", world, "test", None)
    return [item for _, group in groupby(all_items, key=lambda item: item.video) for item in list(group)[:3]]


def asked(loaded: VideoRouter, items: Sequence[Item], at_once: int, **more: Any) -> tuple[Runner, list[Prediction]]:
    runner = Runner(loaded, "generate", answers_at_once=at_once, tolerant=True, **more)
    systems = [loaded.system(name, fill=name != "videorouter") for name in SYSTEMS]
    budgets = {system.name: [329] * len(items) for system in systems}
    return runner, runner.run(items, systems, budgets, Progress(disable=True))


def said(made: Sequence[Prediction]) -> list[tuple[Any, ...]]:
    return [(one.item, one.system, one.tokens_by_frame, one.text, one.choice) for one in made]


@pytest.mark.parametrize("share_passes", [False, True])
def test_answers_are_those_of_each_question_alone(loaded: VideoRouter, items: list[Item], share_passes: bool) -> None:
    alone, together = (asked(loaded, items, at_once, share_passes=share_passes)[1] for at_once in (1, 4))
    assert len(alone) == 2 * len(items) == 12
    assert said(together) == said(alone)
    assert all("shared generate" in one.seconds_by_stage for one in together)
    assert all("generate" in one.seconds_by_stage for one in alone)


def test_a_batch_that_fails_is_answered_one_by_one_and_only_what_fails_alone_has_failed(
    loaded: VideoRouter, items: list[Item], monkeypatch: pytest.MonkeyPatch
) -> None:
    usual, backbone, refused = asked(loaded, items, 1)[1], loaded.backbone, []
    generate = backbone.generate

    def full(prompts: Sequence[Prompt], *given: Any, **more: Any) -> None:
        refused.append(len(prompts))
        raise RuntimeError("out of memory")

    def second_fails(prompt: Prompt, *given: Any, **more: Any) -> Any:
        refused.append(1)
        if refused.count(1) == 2:
            raise RuntimeError("out of memory again")
        return generate(prompt, *given, **more)

    monkeypatch.setattr(backbone, "generate_together", full)
    monkeypatch.setattr(backbone, "generate", second_fails)
    runner, made = asked(loaded, items, 3)
    assert [count for count in refused if count > 1] == [3] * 4
    assert [(failure.item, failure.system) for failure in runner.failures] == [(items[1].id, "videorouter")]
    assert said(made) == [one for one in said(usual) if one[:2] != (items[1].id, "videorouter")]


def test_what_is_known_is_asked_again_for_company_and_stays_as_it_was(
    loaded: VideoRouter, items: list[Item], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, sizes = asked(loaded, items, 3)[1], []
    journal = Journal(tmp_path)
    for one in whole[:5]:
        journal.keep(one)
    together = loaded.backbone.generate_together

    def counting(prompts: Sequence[Prompt], *given: Any, **more: Any) -> Any:
        sizes.append(len(prompts))
        return together(prompts, *given, **more)

    monkeypatch.setattr(loaded.backbone, "generate_together", counting)
    again = asked(loaded, items, 3, journal=Journal(tmp_path))[1]
    assert said(again) == said(whole)
    assert again[:5] == whole[:5]
    assert sizes == [3, 3, 3]  # the first video's for `videorouter` were all known
    assert len((tmp_path / "answered-0.jsonl").read_text().splitlines()) == len(whole)


def test_what_is_known_cannot_fail_in_a_batch(
    loaded: VideoRouter, items: list[Item], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = asked(loaded, items, 3)[1]
    journal = Journal(tmp_path)
    for one in whole[1:]:
        journal.keep(one)
    generate, passes = loaded.backbone.generate, []

    def full(prompts: Sequence[Prompt], *given: Any, **more: Any) -> None:
        raise RuntimeError("out of memory")

    def only_the_first(prompt: Prompt, *given: Any, **more: Any) -> Any:
        passes.append(prompt)
        if len(passes) > 1:
            raise RuntimeError("out of memory again")
        return generate(prompt, *given, **more)

    monkeypatch.setattr(loaded.backbone, "generate_together", full)
    monkeypatch.setattr(loaded.backbone, "generate", only_the_first)
    runner, again = asked(loaded, items, 3, journal=Journal(tmp_path))
    assert len(passes) == 3
    assert said(again) == said(whole)
    assert not runner.failures


def test_less_than_one_at_once_is_refused(loaded: VideoRouter) -> None:
    with pytest.raises(ValueError, match="answers_at_once is 0"):
        Runner(loaded, "generate", answers_at_once=0)


def test_an_answer_by_likelihood_waits_for_no_company(loaded: VideoRouter) -> None:
    assert Runner(loaded, "likelihood", answers_at_once=8).answers_at_once == 1


@pytest.mark.parametrize(("scoring", "at_once"), [("generate", 1), ("generate", 3), ("likelihood", 1)])
def test_logits_that_are_no_numbers_are_failures_and_never_a_choice(
    router: Path, items: list[Item], scoring: Any, at_once: int
) -> None:
    """float16 overflows in a layer behind those that routers read; NaN would have been option A."""
    backbone: Any = (half := VideoRouter.from_pretrained(router, device="cpu", dtype="float16")).backbone
    backbone.model.model.language_model.layers[-1].mlp.up_proj.weight.data.mul_(60_000)
    runner = Runner(half, scoring, answers_at_once=at_once, tolerant=True)
    made = runner.run(
        items, [half.system("frame_budget")], {"frame_budget": [329] * len(items)}, Progress(disable=True)
    )
    assert not made
    assert [failure.item for failure in runner.failures] == [item.id for item in items]
    for failure in runner.failures:
        assert "a logit of the answer in float16 is not a number" in failure.error
        assert "load the model in float32" in failure.error
