"""What is written between frames, such as speech, where only some of the frames are kept (ours)."""

from collections.abc import Sequence


def texts_around(between: Sequence[str] | None, frames: Sequence[int], total: int | None = None) -> list[str]:
    """What stands before each of the kept `frames`, increasing numbers among T, and after the last: `len(frames) + 1` texts.

    `between` says the same of all T frames; what stood around a frame that is gone stays, in order, between those that are
    left. None is nothing written. `total` is T where that is known. Raises `ValueError` for anything but T + 1 texts.
    """
    if between is None:
        return [""] * (len(frames) + 1)
    least = max(frames, default=-1) + 1
    if len(between) - 1 != total if total is not None else len(between) - 1 < least:
        told = f"{total}" if total is not None else f"at least {least}"
        raise ValueError(
            f"{len(between)} texts between {told} frames: give one to stand before each frame and one after the last"
        )
    starts = [0, *(frame + 1 for frame in frames)]
    return ["".join(between[start:end]) for start, end in zip(starts, [*starts[1:], len(between)], strict=True)]
