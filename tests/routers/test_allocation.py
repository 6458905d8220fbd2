"""The allocator gives the published values and keeps its promises for every input."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videorouter.routers.routing.allocation import allocate


def relevant(count: int, frames: int = 64) -> list[bool]:
    """`count` relevant frames spread over `frames`."""
    chosen = {i * frames // count for i in range(count)} if count else set()
    return [frame in chosen for frame in range(frames)]


def test_the_defaults_are_those_of_the_paper() -> None:
    assert allocate("global", [False] * 64).tokens == 8_192
    assert allocate("fragment", relevant(20)).tokens == 7_936


@pytest.mark.parametrize(
    ("policy", "evidence", "options", "tokens", "frames"),
    [
        ("global", 0, {"budget": 16_384, "global_scale": 1}, 16_384, 64),
        ("global", 0, {}, 8_192, 64),
        ("fragment", 20, {}, 7_936, 64),
        ("fragment", 43, {}, 12_288, 63),
        ("fragment", 48, {}, 12_288, 48),
        ("fragment", 50, {}, 12_288, 48),
        ("fragment", 0, {}, 4_096, 64),
    ],
)
def test_worked_values(policy: str, evidence: int, options: dict[str, int], tokens: int, frames: int) -> None:
    plan = allocate(policy, relevant(evidence), **options)  # type: ignore[arg-type]
    assert (plan.tokens, len(plan.frames)) == (tokens, frames)


def test_no_background_is_left_where_the_evidence_fills_the_budget() -> None:
    wanted = relevant(48)
    plan = allocate("fragment", wanted)
    assert all(wanted[frame] for frame in plan.frames)
    assert set(plan.scales) == {1}


def test_a_budget_below_one_frame_names_the_smallest_that_works() -> None:
    with pytest.raises(ValueError, match="smallest workable is 256"):
        allocate("fragment", relevant(3), budget=255)
    with pytest.raises(ValueError, match="smallest workable is 128"):
        allocate("global", [True], budget=100)


@pytest.mark.parametrize("wrong", [{"policy": "local"}, {"relevant": []}, {"global_scale": 0}, {"global_scale": 257}])
def test_wrong_input_is_refused_with_what_is_wrong(wrong: dict[str, object]) -> None:
    arguments: dict[str, object] = {"policy": "global", "relevant": [True]} | wrong
    with pytest.raises(ValueError, match=r"policy|frames|scale"):
        allocate(arguments.pop("policy"), arguments.pop("relevant"), **arguments)  # type: ignore[arg-type]


@given(
    st.sampled_from(["global", "fragment"]),
    st.lists(st.booleans(), min_size=1, max_size=200),
    st.integers(16, 20_000),
    st.sampled_from([16, 64, 196, 256]),
    st.sampled_from([1, 2, 4, 8]),
    st.sampled_from([1, 2]),
    st.sampled_from([4, 8, 16]),
)
def test_every_plan_keeps_the_promises(policy, flags, budget, per_frame, global_scale, sharp, coarse) -> None:
    options = {"global_scale": global_scale, "relevant_scale": sharp, "irrelevant_scale": coarse}
    try:
        plan = allocate(policy, flags, tokens_per_frame=per_frame, budget=budget, **options)
    except ValueError:
        if budget >= per_frame:  # only a budget below one frame may be refused
            raise
        return
    assert plan.tokens <= budget
    assert plan.tokens == sum(per_frame // scale for scale in plan.scales)
    assert list(plan.frames) == sorted(set(plan.frames))
    if policy == "global":
        assert set(plan.scales) == {global_scale}
    else:
        assert {s for f, s in zip(plan.frames, plan.scales, strict=True) if flags[f]} <= {sharp}
        kept = set(plan.frames)
        if any(not flags[frame] for frame in kept):  # background is there only when all evidence is
            assert all(frame in kept for frame, flag in enumerate(flags) if flag) or sharp >= coarse
