"""The size at which a model would be shown a video's frames, as loading it finds it, without a weight (ours)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from videorouter.routers.backbones.frame_shape import USUAL_SQUARE, FrameShape
from videorouter.routers.backbones.loading_options import HubSource
from videorouter.video.errors import VideoError
from videorouter.video.pyav import frame_shape

USUAL_VIDEO: Final = (720, 1280)
"""(height, width) in pixels that a video is assumed to have where nothing says its size."""


@dataclass(frozen=True)
class ShownFrames:
    """`size`, (height, width) in pixels, of a frame as the tower takes it; None where the config alone says it.

    `video` is the file's own (height, width) where the size follows from it, and `said` what to tell where that was assumed.
    """

    size: tuple[int, int] | None = None
    video: tuple[int, int] | None = None
    said: str | None = None


def shown_frames(
    path: str,
    config: Any,
    shape: FrameShape,
    frames: int,
    video: tuple[int, int] | Path | None = None,
    source: HubSource | None = None,
) -> ShownFrames:
    """How the checkpoint `path` of this `config` is shown so many `frames` in `shape`.

    `video` is the file's (height, width), or the file, of which one frame is decoded; `USUAL_VIDEO` where neither is known. It is
    read only where frames keep their aspect ratio. Raises `ValueError` for a size without pixels or one too narrow.
    """
    if isinstance(video, tuple) and min(video) < 1:
        raise ValueError(f"video_size is {list(video)}: give [height,width], 1 or more pixels each")
    squeezed = config.model_type not in SHAPED_FAMILIES or shape.aspect == "square"
    if squeezed and isinstance(video, tuple):
        raise ValueError(f"video_size: {path} is shown squares, whatever the video's shape: leave it out")
    if config.model_type not in SHAPED_FAMILIES:
        return ShownFrames()
    if shape.aspect == "square":
        side = shape.frame_size or USUAL_SQUARE
        return ShownFrames((side, side))
    size, said = _size_of(video)
    limits = _backbone(config.model_type).limits_at(path, config.vision_config, shape, source or {})
    return ShownFrames(limits.size(frames, *size), size, said)


SHAPED_FAMILIES: Final = ("qwen2_5_vl", "qwen3_vl")
"""Families that see frames in any shape."""


def _backbone(family: str) -> Any:
    if family == "qwen2_5_vl":
        from videorouter.routers.backbones.qwen2_5_vl import Qwen25VLBackbone

        return Qwen25VLBackbone
    from videorouter.routers.backbones.qwen3_vl import Qwen3VLBackbone

    return Qwen3VLBackbone


def _size_of(video: tuple[int, int] | Path | None) -> tuple[tuple[int, int], str | None]:
    """(height, width) of a video, and what to tell where it is assumed."""
    if isinstance(video, tuple):
        return video, None
    assumed = f"a video of {USUAL_VIDEO[0]}x{USUAL_VIDEO[1]} pixels (height x width) is assumed"
    if video is None:
        return USUAL_VIDEO, f"frames: {assumed}: give --video_size [height,width] for another"
    import av

    try:
        return frame_shape(video), None
    except (VideoError, OSError, av.FFmpegError) as error:
        reason = " ".join(str(error).split())
        return USUAL_VIDEO, f"frames: {assumed}, as none could be read ({reason})"
