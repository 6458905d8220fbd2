"""A plan as ordinary pictures, for any model or server that is sent pictures: which frames, and how large each (ours)."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from videorouter.routers.answering.frame_plan import FramePlan, PlannedFrame
from videorouter.routers.cost.picture_cost import PictureCost


@dataclass(frozen=True)
class PlannedPicture:
    """Frame `place` of those sampled, shown at `second` of the video, as a picture of `height` x `width` pixels for `tokens`."""

    place: int
    second: float
    height: int
    width: int
    tokens: int


def frame_pictures(
    plan: FramePlan, cost: PictureCost, budget: int, shape: tuple[int, int] | None = None
) -> list[PlannedPicture]:
    """The pictures of `plan`, in temporal order, that cost at most `budget` tokens together where they are sent.

    `shape` is (height, width) in pixels of the video's frames, by default those that the plan was made for. Frames that the model
    merged are one picture, the first of them. Each kept frame is the largest picture that its share of the budget pays for, as its
    tokens are a share of the plan's. Where that pays for none, as with tiles of one size, fewer frames are shown, not smaller
    ones: what is left over buys the cheapest picture of the frames with most tokens, and of those with equally many, where not all
    can be paid for, the most relevant (only of the most tokens, and not under the policy `global`), or else some spread evenly in
    time.
    Raises `ValueError` for a plan that keeps no frame, and for a budget below one picture, saying what one costs.
    """
    height, width = shape or (plan.height, plan.width)
    kept = {place: frame for place, frame in enumerate(plan.frames) if frame.tokens and place % plan.merged == 0}
    if not kept:
        raise ValueError("the plan keeps no frame: there is nothing to show")
    least = cost.least_frame(height, width)
    if budget < least:
        raise ValueError(
            f"a budget of {budget} tokens pays for no picture: one of a frame of {width}x{height} pixels costs {least} there, "
            f"so give {least} or more"
        )
    shares = {place: budget * frame.tokens // plan.tokens for place, frame in kept.items()}
    paid = {place: share for place, share in shares.items() if share >= least}
    pictures = {place: _picture(plan, cost, place, share, height, width) for place, share in paid.items()}
    left = budget - sum(picture.tokens for picture in pictures.values())
    unpaid = {place: frame for place, frame in kept.items() if place not in pictures}
    most = max(frame.tokens for frame in kept.values())
    for place in _first(unpaid, most, left // least, by_relevance=plan.policy != "global"):
        pictures[place] = _picture(plan, cost, place, least, height, width)
    shown = [pictures[place] for place in sorted(pictures)]
    assert shown
    assert sum(picture.tokens for picture in shown) <= budget
    return shown


def _picture(plan: FramePlan, cost: PictureCost, place: int, tokens: int, height: int, width: int) -> PlannedPicture:
    size = cost.frame_size(tokens, height, width)
    assert size is not None, "what the cheapest picture costs, or more"
    return PlannedPicture(place, plan.frames[place].second, *size, cost.tokens(*size))


def _first(unpaid: dict[int, PlannedFrame], most: int, count: int, *, by_relevance: bool) -> list[int]:
    """`count` of the unpaid places, those with most tokens first; `most` is what the plan gives any frame."""
    ordered = sorted(unpaid, key=lambda place: (-unpaid[place].tokens, place))
    chosen: list[int] = []
    for tokens, tier in groupby(ordered, lambda place: unpaid[place].tokens):
        places, wanted = list(tier), count - len(chosen)
        scores = [unpaid[place].score for place in places]
        if by_relevance and tokens == most and None not in scores:
            ranked = sorted(places, key=lambda place: (-(unpaid[place].score or 0.0), place))
            chosen += ranked[:wanted]
        else:
            chosen += _spread(places, wanted)
    return chosen


def _spread(places: Sequence[int], count: int) -> list[int]:
    """`count` of the places, or all, evenly spread: the middle of as many equal parts."""
    if count >= len(places):
        return list(places)
    return [places[(2 * part + 1) * len(places) // (2 * count)] for part in range(count)]
