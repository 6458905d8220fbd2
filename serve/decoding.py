"""A client's video -> sampled frames, in a process that can be killed; a client's pictures -> the frames of one video (ours)."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from videorouter.serve.errors import BadVideo, TooLarge
from videorouter.video.decode import sample_frames
from videorouter.video.errors import VideoError
from videorouter.video.frames import SampledFrames, Size, Sizing, resize_frames
from videorouter.video.pyav import opened

MOST_PIXELS = 64_000_000
"""Of one picture: more than any camera's, and nothing that fills the memory."""


class TooLongVideo(VideoError):
    """It lasts longer than the server takes."""

    verdict = "too_long"
    permanent = False


def sample_within(path: Path, frames: int, sampler: str, size: Sizing | None, most_seconds: float) -> SampledFrames:
    """`frames` frames of a file that lasts at most `most_seconds`, by its header and by its frames.

    Raises as `sample_frames`, and `TooLongVideo`. To be run in a decoding process.
    """
    try:
        with opened(path, "NONE") as (container, _):
            promised = (container.duration or 0) / 1_000_000
    except (OSError, ValueError):  # whatever it is, the decoders below say it better
        promised = 0.0
    _check_length(path, promised, most_seconds)
    sampled = sample_frames(path, frames, sampler, size)
    _check_length(path, sampled.duration, most_seconds)
    return sampled


def capped(side: int, height: int, width: int) -> Size:
    """(height, width) in the same shape, with no side longer than `side` pixels."""
    share = min(1.0, side / max(height, width))
    return max(1, round(height * share)), max(1, round(width * share))


def frames_of_pictures(pictures: Sequence[Path], seconds: Sequence[float] | None, size: Sizing) -> SampledFrames:
    """The pictures of a message as the frames of one video, all at the size that `size` gives the first.

    Frames without `seconds` are a second apart. Raises `BadVideo` for a file that is no picture, `TooLarge` for one of more than
    `MOST_PIXELS` pixels.
    """
    frames: list[np.ndarray] = []
    shape = wanted = (0, 0)
    for number, path in enumerate(pictures, start=1):
        frame = _picture(path, f"picture {number} of {len(pictures)}")
        if not frames:
            shape = (frame.shape[0], frame.shape[1])
            wanted = size(*shape) if callable(size) else (size, size) if isinstance(size, int) else size
        frames.append(resize_frames(frame[None], wanted)[0])
    at = list(seconds) if seconds is not None else [float(place) for place in range(len(frames))]
    apart = (at[-1] - at[0]) / (len(at) - 1) if len(at) > 1 else 1.0
    return SampledFrames(
        frames=np.stack(frames),
        indices=list(range(len(frames))),
        seconds=at,
        fps=1 / apart if apart > 0 else 1.0,
        total=len(frames),
        duration=at[-1] + (apart if apart > 0 else 1.0),
        decoder="pictures",
        sampler="client",
        shape=shape,
    )


def _check_length(path: Path, seconds: float, most: float) -> None:
    if seconds > most:
        raise TooLongVideo(path, f"it lasts {seconds:.0f} s, more than the {most:.0f} s that are taken")


def _picture(path: Path, what: str) -> np.ndarray:
    """uint8 RGB `[H, W, 3]`, upright."""
    from PIL import ImageOps

    try:
        with Image.open(io.BytesIO(path.read_bytes()), formats=("PNG", "JPEG", "WEBP", "GIF", "BMP")) as image:
            if image.width * image.height > MOST_PIXELS:
                raise TooLarge(f"{what} has {image.width}x{image.height} pixels: send at most {MOST_PIXELS:,}")
            return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    except UnidentifiedImageError as error:
        raise BadVideo(f"{what} is none of the kinds that are read: send PNG, JPEG, WebP, GIF or BMP") from error
    except Image.DecompressionBombError as error:
        raise TooLarge(f"{what} has far more than the {MOST_PIXELS:,} pixels that are taken") from error
    except (OSError, SyntaxError, ValueError) as error:
        if isinstance(error, TooLarge):
            raise
        raise BadVideo(
            f"{what} is broken ({' '.join(str(error).split())[:200]}): send PNG, JPEG, WebP, GIF or BMP"
        ) from error
