"""A plan becomes pictures that never cost more than the budget, of the frames that the plan wants most."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from videorouter.routers.answering.frame_pictures import frame_pictures
from videorouter.routers.answering.frame_plan import FramePlan, PlannedFrame
from videorouter.routers.cost.picture_names import PICTURE_COSTS, picture_cost
from videorouter.shards.policy import Policy

WIDE = (360, 640)


def plan_of(
    tokens: Sequence[int],
    scores: Sequence[float] | None = None,
    policy: Policy | None = "fragment",
    merged: int = 1,
    size: tuple[int, int] = WIDE,
) -> FramePlan:
    """One frame a second; `tokens` and `scores` are those of merged groups."""
    frames = tuple(
        PlannedFrame(
            8 * place,
            float(place),
            None if scores is None else scores[place // merged],
            tokens[place // merged],
            None,
        )
        for place in range(merged * len(tokens))
    )
    return FramePlan("videorouter", policy, 8.0, float(len(frames)), *size, merged, frames)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(list(PICTURE_COSTS)),
    st.lists(st.tuples(st.sampled_from((0, 1, 4, 16, 64, 256)), st.floats(0, 1)), min_size=1, max_size=70),
    st.booleans(),
    st.sampled_from(("fragment", "global", None)),
    st.sampled_from((1, 2)),
    st.sampled_from((WIDE, (480, 640), (640, 360), (112, 112), (1080, 1920))),
    st.integers(1, 40_000),
)
def test_no_budget_is_overrun_and_none_that_pays_for_a_picture_shows_nothing(
    name: str,
    frames: list[tuple[int, float]],
    scored: bool,
    policy: Policy | None,
    merged: int,
    shape: tuple[int, int],
    budget: int,
) -> None:
    cost, scores = picture_cost(name), [score for _, score in frames] if scored else None
    plan = plan_of([tokens for tokens, _ in frames], scores, policy, merged)
    kept = [place for place, frame in enumerate(plan.frames) if frame.tokens]
    if not kept or budget < cost.least_frame(*shape):
        with pytest.raises(ValueError, match=r"keeps no frame|pays for no picture: one of a frame"):
            frame_pictures(plan, cost, budget, shape)
        return
    shown = frame_pictures(plan, cost, budget, shape)
    assert 1 <= len(shown) <= len(kept) / merged
    assert sum(picture.tokens for picture in shown) <= budget
    assert all(picture.tokens == cost.tokens(picture.height, picture.width) for picture in shown)
    places = [picture.place for picture in shown]
    assert places == sorted(set(places))
    assert set(places) <= {place for place in kept if place % merged == 0}
    assert [picture.second for picture in shown] == [plan.frames[place].second for place in places]
    missing = len(kept) // merged - len(shown)
    left = budget - sum(picture.tokens for picture in shown)
    assert not missing or left < cost.least_frame(*shape)


def test_where_size_is_charged_each_frame_has_the_largest_picture_of_its_share() -> None:
    cost, tokens = picture_cost("qwen2_5_vl"), [64, 0, 16, 16, 64, 16]
    shown = frame_pictures(plan_of(tokens, merged=2), cost, sum(tokens), WIDE)
    assert [picture.place for picture in shown] == [0, 4, 6, 8, 10]
    for picture in shown:
        share = tokens[picture.place // 2]
        assert (picture.height, picture.width) == cost.size_for(share, *WIDE)
        assert share / 2 < picture.tokens <= share


def test_twice_the_budget_is_twice_the_share() -> None:
    cost, plan = picture_cost("claude"), plan_of([64, 16, 16])
    assert [
        (picture.height, picture.width) for picture in frame_pictures(plan, cost, 192)
    ] == [cost.size_for(share, *WIDE) for share in (128, 32, 32)]  # fmt: skip


def test_fixed_tiles_show_fewer_frames_not_smaller_ones() -> None:
    """First those with most tokens, the most relevant of them where they are too many; then others evenly spread in time."""
    cost, tokens = picture_cost("internvl"), [4] * 20
    scores = [0.1] * 20
    for place, score in ((3, 0.7), (4, 0.9), (15, 0.8)):
        tokens[place], scores[place] = 16, score

    def places(pictures: int) -> list[int]:
        shown = frame_pictures(plan_of(tokens, scores), cost, 256 * pictures + 255)
        assert {(picture.height, picture.width, picture.tokens) for picture in shown} == {(448, 448, 256)}
        return [picture.place for picture in shown]

    assert places(1) == [4]
    assert places(2) == [4, 15]
    assert places(3) == [3, 4, 15]
    assert places(4) == [3, 4, 10, 15]
    assert places(6) == [2, 3, 4, 10, 15, 17]
    assert places(20) == places(99) == list(range(20))


def test_a_share_below_the_least_picture_is_not_shown_at_that_share_but_bought_from_what_is_left() -> None:
    """Qwen3-VL enlarges small pictures to 64 tokens or so: two frames have their share, and what is left pays for one more."""
    cost = picture_cost("qwen3_vl")
    least = cost.least_frame(*WIDE)
    tokens = [150, 10, 10, 10, 10, 150]
    shown = frame_pictures(plan_of(tokens), cost, sum(tokens))
    assert [picture.place for picture in shown] == [0, 5]
    spared = frame_pictures(plan_of(tokens), cost, sum(tokens) + least)
    assert [picture.place for picture in spared if picture.place not in (0, 5)] == [3]


@pytest.mark.parametrize(("policy", "scores"), [("global", [0.0] * 10 + [1.0] * 10), ("fragment", None), (None, None)])
def test_equal_frames_are_spread_evenly_in_time_where_relevance_has_no_say(
    policy: Policy | None, scores: list[float] | None
) -> None:
    shown = frame_pictures(plan_of([16] * 20, scores, policy), picture_cost("gpt-4o-low"), 4 * 85)
    assert [picture.place for picture in shown] == [2, 7, 12, 17]


def test_what_cannot_be_shown_says_what_is_needed() -> None:
    plan = plan_of([16] * 4)
    with pytest.raises(
        ValueError,
        match=r"100 tokens pays for no picture: one of a frame of 640x360 pixels costs 256 there, so give 256 or more",
    ):
        frame_pictures(plan, picture_cost("internvl"), 100)
    with pytest.raises(ValueError, match="the plan keeps no frame"):
        frame_pictures(plan_of([0, 0]), picture_cost("internvl"), 1000)
