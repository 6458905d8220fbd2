"""What is known of sampled frames, said of the patches into which a model merges them."""

from collections.abc import Sequence
from typing import TypeVar

Value = TypeVar("Value")


def merged_seconds(seconds: Sequence[float], frames_per_patch: int) -> tuple[float, ...]:
    """When each patch is shown: the middle between its first and its last frame; a last patch that is not full repeats its last."""
    return tuple((run[0] + run[-1]) / 2 for run in _full_runs(seconds, frames_per_patch))


def merged_any(marks: Sequence[bool], frames_per_patch: int) -> tuple[bool, ...]:
    """A patch is marked if any of its frames is."""
    return tuple(any(run) for run in _full_runs(marks, frames_per_patch))


def _full_runs(values: Sequence[Value], length: int) -> list[list[Value]]:
    runs = [list(values[start : start + length]) for start in range(0, len(values), length)]
    return [run + run[-1:] * (length - len(run)) for run in runs]
