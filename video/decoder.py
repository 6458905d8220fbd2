"""What every decoder is asked and answers."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from videorouter.video.frames import SampledFrames

Choose = Callable[[Sequence[float]], list[int]]
"""From the start of every frame, in seconds from the first, to the indices of the frames wanted."""


class Decoder(Protocol):
    """Reads chosen frames of a file."""

    name: str

    def read(self, path: Path, choose: Choose, size: int | None) -> SampledFrames:
        """The frames chosen, upright, resized to `size` x `size` pixels where given.

        Raises any exception where the file cannot be read, or a frame asked for is not there: the next decoder is asked then.
        """
        ...


def sampled(
    decoder: str,
    frames: np.ndarray,
    indices: list[int],
    starts: Sequence[float],
    end: float,
    promised: int | None,
) -> SampledFrames:
    """A decoder's answer: `frames` uint8 `[T, H, W, 3]`, all frames' `starts` and the last one's `end` in seconds."""
    return SampledFrames(
        frames=frames,
        indices=indices,
        seconds=[round(starts[index], 6) for index in indices],
        fps=len(starts) / end if end > 0 else 0.0,
        total=len(starts),
        duration=end,
        decoder=decoder,
        sampler="",
        promised=promised,
    )
