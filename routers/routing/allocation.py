"""Which frames are kept and at which compression scale: pure integer arithmetic, no models (paper section 3.3).

A compression scale `s` divides the token count of a frame: `M // s` tokens are fed. `global` keeps every frame at one
scale; `fragment` keeps relevant frames at `relevant_scale` and gives what is left of the budget to the others. Frames
that do not fit are thinned uniformly in time, irrelevant ones first: no relevant frame ever loses resolution.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from videorouter.shards.policy import POLICIES, Policy
from videorouter.video.sampling import segment_midpoint


@dataclass(frozen=True)
class Scales:
    """Compression scales: (global; relevant, irrelevant) = (2; 1, 4) in the paper's main runs, (4; 1, 8) in its smallest."""

    global_scale: int = 2
    relevant_scale: int = 1
    irrelevant_scale: int = 4

    def __post_init__(self) -> None:
        """Raises `ValueError` for a scale below 1."""
        if min(self.global_scale, self.relevant_scale, self.irrelevant_scale) < 1:
            told = f"{self.global_scale}; {self.relevant_scale}, {self.irrelevant_scale}"
            raise ValueError(f"compression scales ({told}) must be at least 1: 1 keeps every token of a frame")


@dataclass(frozen=True)
class Allocation:
    """The frames kept, in temporal order, with the scale and the token count of each."""

    policy: Policy
    frames: tuple[int, ...]
    scales: tuple[int, ...]
    tokens_by_frame: tuple[int, ...]

    @property
    def tokens(self) -> int:
        """Visual tokens fed in total."""
        return sum(self.tokens_by_frame)


def allocate(
    policy: Policy,
    relevant: Sequence[bool],
    *,
    tokens_per_frame: int = 256,
    budget: int = 12_288,
    global_scale: int = 2,
    relevant_scale: int = 1,
    irrelevant_scale: int = 4,
) -> Allocation:
    """Spend `budget` visual tokens on the frames of one video (paper section 3.3; worked values in the tests).

    `relevant` holds one bool per sampled frame; `global` ignores its values and uses its length. Raises `ValueError`
    for an unknown policy, no frames, a scale below 1 or above `tokens_per_frame`, and for a budget that cannot hold one
    frame at its scale, naming the smallest one that can.
    """
    if policy not in POLICIES:
        raise ValueError(f"unknown allocation policy {policy!r}: use one of {', '.join(POLICIES)}")
    if not relevant:
        raise ValueError("no frames to allocate tokens to: `relevant` needs one bool per sampled frame")
    if policy == "global":
        cost = scaled_tokens(tokens_per_frame, global_scale)
        kept = dict.fromkeys(_affordable(range(len(relevant)), budget, cost), global_scale)
    else:
        kept = _fragment(relevant, tokens_per_frame, budget, relevant_scale, irrelevant_scale)
    frames = tuple(sorted(kept))
    scales = tuple(kept[frame] for frame in frames)
    plan = Allocation(policy, frames, scales, tuple(scaled_tokens(tokens_per_frame, scale) for scale in scales))
    assert 0 < plan.tokens <= budget, f"{plan.tokens} tokens allocated under a budget of {budget}"
    return plan


def scaled_tokens(tokens_per_frame: int, scale: int) -> int:
    """Tokens that a frame of `tokens_per_frame` feeds at compression scale `scale`: `M // s`. Raises `ValueError`."""
    if not 1 <= scale <= tokens_per_frame:
        raise ValueError(f"compression scale {scale} is outside 1..{tokens_per_frame}, the tokens of one frame")
    return tokens_per_frame // scale


def _fragment(
    relevant: Sequence[bool], tokens_per_frame: int, budget: int, relevant_scale: int, irrelevant_scale: int
) -> dict[int, int]:
    sharp_cost = scaled_tokens(tokens_per_frame, relevant_scale)
    coarse_cost = scaled_tokens(tokens_per_frame, irrelevant_scale)
    evidence = [frame for frame, wanted in enumerate(relevant) if wanted]
    others = [frame for frame, wanted in enumerate(relevant) if not wanted]
    if not evidence:
        return dict.fromkeys(_affordable(others, budget, coarse_cost), irrelevant_scale)
    if len(evidence) * sharp_cost >= budget:
        return dict.fromkeys(_affordable(evidence, budget, sharp_cost), relevant_scale)
    room = (budget - len(evidence) * sharp_cost) // coarse_cost
    background = uniform_subset(others, min(len(others), room))
    return dict.fromkeys(background, irrelevant_scale) | dict.fromkeys(evidence, relevant_scale)


def _affordable(frames: Sequence[int], budget: int, cost: int) -> list[int]:
    if budget < cost:
        raise ValueError(
            f"a budget of {budget} tokens cannot hold one frame of {cost}: the smallest workable is {cost}"
        )
    return uniform_subset(frames, min(len(frames), budget // cost))


def uniform_subset(frames: Sequence[int], count: int) -> list[int]:
    """`count` of `frames`, evenly spread in time: the midpoints of `count` equal segments (all of them if it fits)."""
    if count >= len(frames):
        return list(frames)
    return [frames[i] for i in segment_midpoint(len(frames), count)] if count else []
