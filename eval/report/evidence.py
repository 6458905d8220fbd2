"""Which of the frames that a router scored hold a question's evidence, as far as the benchmark knows or marks it (ours)."""

import numpy as np

from videorouter.eval.items import Item
from videorouter.eval.run_folder import Watched
from videorouter.routers.backbones import merged_any


def tells_evidence(item: Item) -> bool:
    """Whether something is to be found: the truth is known and its policy is `fragment`, or evidence is marked."""
    if item.truth is not None:
        return item.truth.policy == "fragment"
    return bool(item.evidence_frames or item.evidence_spans)


def frames_merged(sampled: int, scored: int) -> int:
    """How many of the `sampled` frames share each of `scored` scores, as the model merged them."""
    return -(-sampled // scored)


def evidence_of(item: Item, watched: Watched, scored: int) -> tuple[bool, ...]:
    """One bool for each of `scored` frames: evidence if any of the sampled frames merged in it is.

    Where the truth is known, the sampled frames shown within it are, as in `router_quality`. A marked frame of the file
    belongs to the sampled frame nearest to it, in the middle between two to both; a marked span to all sampled frames within
    it, or where there is none to the one nearest to its middle. A mark farther from every sampled frame than these are from
    each other lies where nothing was sampled, and belongs to none.
    """
    if item.truth is not None:
        sampled = item.truth.of_frames(watched.seconds).relevant
    else:
        indices, seconds = np.array(watched.indices), np.array(watched.seconds)
        marks = [_nearest(indices, frame) for frame in item.evidence_frames]
        for start, end in item.evidence_spans:
            within = (start <= seconds) & (seconds < end)
            marks.append(within if within.any() else _nearest(seconds, (start + end) / 2))
        sampled = tuple(np.any(marks, axis=0).tolist())
    return merged_any(sampled, frames_merged(len(sampled), scored))


def _nearest(places: np.ndarray, mark: float) -> np.ndarray:
    """Bools `[T]` over the `places` of sampled frames, which may repeat where the file has fewer."""
    distances = np.abs(places - mark)
    return (distances == distances.min()) & (distances <= np.diff(places).max(initial=0))
