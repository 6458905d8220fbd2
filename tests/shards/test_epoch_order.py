"""Equal steps, nothing twice, nothing skipped but a declared remainder, one global order for any number of ranks."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videorouter.shards.epoch_order import EpochOrder, Item, Limits, share
from videorouter.shards.errors import TooLittleData

videos = st.lists(st.tuples(st.integers(0, 9), st.integers(1, 64)), min_size=1, max_size=60).filter(
    lambda sizes: any(questions for questions, _ in sizes)
)


def order_of(sizes: list[tuple[int, int]], limits: Limits, seed: int | None = 0) -> EpochOrder:
    return EpochOrder([range(questions) for questions, _ in sizes], [frames for _, frames in sizes], limits, seed)


@given(videos, st.integers(1, 16), st.integers(1, 4), st.integers(1, 12), st.integers(0, 3), st.integers(0, 99))
def test_ranks_take_equal_steps_and_together_all_but_the_remainder(
    sizes: list[tuple[int, int]], world_size: int, per_item: int, per_batch: int, epoch: int, seed: int
) -> None:
    order = order_of(sizes, Limits(min(per_item, per_batch), per_batch), seed)
    batches = order.batches(epoch)
    asked = [(item.sample, question) for batch in batches for item in batch for question in item.questions]
    assert sorted(asked) == [(video, q) for video, (questions, _) in enumerate(sizes) for q in range(questions)]
    if len(batches) < world_size:
        with pytest.raises(TooLittleData, match=rf"{len(batches)} batches .* {world_size} ranks"):
            share(batches, 0, world_size)
        return
    shares = [share(batches, rank, world_size) for rank in range(world_size)]
    (steps,) = {len(one.batches) for one in shares}
    assert steps == len(batches) // world_size
    together = [shares[rank].batches[step] for step in range(steps) for rank in range(world_size)]
    assert together + shares[0].remainder == batches
    assert len(shares[0].remainder) < world_size


@given(videos, st.integers(1, 4), st.sampled_from([1, 2, 3, 4, 6, 12]), st.integers(0, 3))
def test_an_epoch_of_whole_steps_is_the_same_for_any_ranks_that_share_a_step(
    sizes: list[tuple[int, int]], per_batch: int, a_step: int, epoch: int
) -> None:
    batches = order_of(sizes, Limits(1, per_batch)).batches(epoch)
    together = []
    for world_size in (ranks for ranks in range(1, a_step + 1) if a_step % ranks == 0):
        if len(batches) < a_step:
            with pytest.raises(TooLittleData, match=rf"{len(batches)} batches .* fewer|cannot feed"):
                share(batches, 0, world_size, 0, a_step)
            continue
        shares = [share(batches, rank, world_size, 0, a_step) for rank in range(world_size)]
        steps = len(shares[0].batches)
        assert steps * world_size % a_step == 0
        together.append([shares[rank].batches[step] for step in range(steps) for rank in range(world_size)])
        assert together[-1] + shares[0].remainder == batches
        assert len(shares[0].remainder) < a_step
    assert all(one == together[0] for one in together)


def test_ranks_that_cannot_share_a_step_equally_are_refused() -> None:
    with pytest.raises(ValueError, match="4 batches a step cannot be shared equally by 3 ranks"):
        share([(Item(0, (0,)),)] * 12, 0, 3, 0, 4)


@given(videos, st.integers(1, 40), st.integers(0, 5))
def test_batches_respect_their_limits_and_are_packed_full(
    sizes: list[tuple[int, int]], per_batch: int, epoch: int
) -> None:
    per_item = min(3, per_batch)
    tokens = 64 * 16 * per_item + 500
    order = order_of(sizes, Limits(per_item, per_batch, tokens, 16), seed=None)

    def load(batch: tuple[Item, ...]) -> tuple[int, int]:
        return (
            sum(len(item.questions) for item in batch),
            sum(len(item.questions) * sizes[item.sample][1] * 16 for item in batch),
        )

    batches = order.batches(epoch)
    for batch in batches:
        assert load(batch)[0] <= per_batch
        assert load(batch)[1] <= tokens
    for batch, following in pairwise(batches):
        more = load((*batch, following[0]))
        assert more[0] > per_batch or more[1] > tokens


@given(videos, st.integers(1, 4), st.integers(4, 12), st.integers(0, 3), st.integers(0, 99))
def test_every_epoch_has_the_same_number_of_batches_and_all_questions(
    sizes: list[tuple[int, int]], per_item: int, per_batch: int, epoch: int, seed: int
) -> None:
    tokens = 64 * per_item + 100
    order = order_of(sizes, Limits(per_item, per_batch, tokens, 1), seed)
    batches = order.batches(epoch)
    assert len(batches) == len(order) == len(order.batches(epoch + 1))
    assert all(batch for batch in batches)
    for batch in batches:
        assert sum(len(item.questions) for item in batch) <= per_batch
        assert sum(len(item.questions) * sizes[item.sample][1] for item in batch) <= tokens
    asked = [(item.sample, question) for batch in batches for item in batch for question in item.questions]
    assert sorted(asked) == [(video, q) for video, (questions, _) in enumerate(sizes) for q in range(questions)]


@given(videos, st.integers(0, 9))
def test_the_order_is_a_function_of_its_arguments(sizes: list[tuple[int, int]], epoch: int) -> None:
    limits = Limits(2, 5)
    first, second = order_of(sizes, limits, seed=3), order_of(sizes, limits, seed=3)
    second.batches(epoch + 1)
    assert first.batches(epoch) == second.batches(epoch)
    assert first.fingerprint == second.fingerprint
    assert first.fingerprint != order_of(sizes, limits, seed=4).fingerprint
    assert first.fingerprint != order_of(sizes, Limits(2, 6), seed=3).fingerprint


def test_videos_are_shuffled_anew_every_epoch_and_stay_together() -> None:
    order = order_of([(6, 4)] * 50, Limits(2, 2))
    first, second = ([item.sample for batch in order.batches(epoch) for item in batch] for epoch in (0, 1))
    assert first != second
    assert sorted(first) == sorted(second)
    assert [video for video, nxt in zip(first, [*first[1:], None], strict=True) if video != nxt] == first[::3]


def test_without_a_seed_the_order_is_the_data_sets() -> None:
    order = order_of([(1, 4)] * 9, Limits(1, 2), seed=None)
    assert [item.sample for batch in order.batches(5) for item in batch] == list(range(9))


def test_limits_that_cannot_be_met_are_said_before_anything_is_read() -> None:
    with pytest.raises(
        ValueError, match=r"3 questions about sample 0 of 64 frames are 49152 tokens, more than .* 1000"
    ):
        order_of([(3, 64)], Limits(3, 3, 1000, 256))
    with pytest.raises(ValueError, match="does not fit a batch"):
        Limits(questions_per_item=8, questions=4)
    with pytest.raises(ValueError, match="no video has a question"):
        order_of([(0, 64)], Limits())
    with pytest.raises(ValueError, match="rank 2 is none of 2"):
        share([(Item(0, (0,)),)] * 4, 2, 2)
