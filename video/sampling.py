"""Which frames of a video are sampled: three conventions in use, up to half a segment apart, so always named.

Where more frames are asked for than there are, indices repeat: every video of a data set keeps the same frame count.
"""

from collections.abc import Callable


def segment_midpoint(total: int, count: int) -> list[int]:
    """Midpoints of `count` equal segments of `total` frames, as InternVL's model card samples. Raises `ValueError`."""
    _check(total, count)
    segment = (total - 1) / count
    return [int(segment / 2 + round(segment * i)) for i in range(count)]


def interior(total: int, count: int) -> list[int]:
    """`count` evenly spaced frames strictly inside the video, neither first nor last. Raises `ValueError`."""
    _check(total, count)
    return [i * total // (count + 1) for i in range(1, count + 1)]


def at_fps(total: int, fps: float, every_seconds: float, cap: int) -> list[int]:
    """One frame every `every_seconds` from 0 (nearest index, ties down); beyond `cap`, `cap` of them by midpoints.

    `fps` in frames a second. Raises `ValueError` for values that are not positive.
    """
    _check(total, cap)
    if fps <= 0 or every_seconds <= 0:
        raise ValueError(f"fps ({fps}) and every_seconds ({every_seconds}) must be positive")
    step = every_seconds * fps
    indices = []
    moment = 0
    while (index := _nearest_down(moment * step)) < total:
        indices.append(index)
        moment += 1
    if len(indices) > cap:
        indices = [indices[i] for i in segment_midpoint(len(indices), cap)]
    return indices


SAMPLERS: dict[str, Callable[[int, int], list[int]]] = {"segment_midpoint": segment_midpoint, "interior": interior}


def _nearest_down(position: float) -> int:
    whole = int(position)
    return whole + (position - whole > 0.5 + 1e-9)  # a tie may come out a rounding error above a half


def _check(total: int, count: int) -> None:
    if total < 1 or count < 1:
        raise ValueError(f"cannot sample {count} of {total} frames: both must be at least 1")
