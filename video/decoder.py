"""What every decoder is asked and answers, and the one asked last: decord, which brings another ffmpeg than PyAV's."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import numpy as np

from videorouter.video.containers import HEAD, is_flash, is_plain, refuse_lists
from videorouter.video.frames import SampledFrames, Sizing, resize_frames

Choose = Callable[[Sequence[float]], list[int]]
"""From the start of every frame that decodes, in seconds from the file's first, to the indices of the frames wanted."""


class Decoder(Protocol):
    """Reads chosen frames of a file."""

    name: str

    def read(self, path: Path, choose: Choose, size: Sizing | None) -> SampledFrames:
        """The frames chosen, upright, resized to `size` where given.

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
    shape: tuple[int, int],
) -> SampledFrames:
    """A decoder's answer: `frames` uint8 `[T, H, W, 3]`, all frames' `starts` and the last one's `end` in seconds.

    `shape` is (height, width) of the file's own frames.
    """
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
        shape=shape,
    )


@contextmanager
def _standard_error_closed() -> Iterator[None]:
    """Nothing that native code writes to standard error in the body is seen."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


class DecordDecoder:
    """Turns frames upright by itself. It believes headers and returns misaligned frames of damaged files: so it comes last."""

    name = "decord"

    def read(self, path: Path, choose: Choose, size: Sizing | None) -> SampledFrames:
        import decord

        decord.logging.set_level(decord.logging.FATAL)
        with path.open("rb") as file:
            head = file.read(HEAD)
            refuse_lists(path, head)
            if not is_plain(head) or is_flash(head):
                # Its ffmpeg cannot be told which containers it may take a file for; of FLV it counts frames from the wrong one.
                raise ValueError("asked only for mp4, mov, mkv, webm and avi")
            file.seek(0)
            with _standard_error_closed():  # what it cannot open it writes there itself, past its own log level
                # By number: a file's name could be a pattern or a protocol to it.
                reader = decord.VideoReader(f"file:/dev/fd/{file.fileno()}", num_threads=1)
        if not len(reader):
            raise ValueError("it counts no frames")
        stamps = reader.get_frame_timestamp(range(len(reader)))
        starts, end = stamps[:, 0] - stamps[0, 0], float(stamps[-1, 1] - stamps[0, 0])
        if not np.all(np.diff(starts) > 0):
            raise ValueError("its timestamps do not increase: the header may count frames that do not decode")
        if stamps[0, 0] < 0:
            raise ValueError("it counts frames that are not shown")
        indices = choose(starts.tolist())
        frames = reader.get_batch(indices).asnumpy()
        shape = frames.shape[1:3]
        if size is not None:
            frames = resize_frames(frames, size)
        return sampled(self.name, frames, indices, starts.tolist(), end, len(reader), shape)
