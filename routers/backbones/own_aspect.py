"""Frames at their own aspect ratio: the size in pixels that Qwen-VL's video processors give them."""

from dataclasses import dataclass, field
from typing import Any, Final

from videorouter.json_files import read_object
from videorouter.routers.backbones.frame_shape import FrameShape, smart_resize
from videorouter.routers.backbones.loading_options import HubSource
from videorouter.routers.backbones.weight_files import checkpoint_file

TOKENS_A_FRAME: Final = 768
"""Most tokens of one frame: the video processors' own (`size.longest_edge` of Qwen2-VL's, `max_video_tokens` of Qwen3-VL's)."""
NARROWEST: Final = 200
"""No side may be so many times as long as the other."""


@dataclass(frozen=True)
class PixelLimits:
    """The limits of one checkpoint's video processor, and the `shape` that was asked for in their place.

    `shortest` and `longest` (`size.shortest_edge` and `size.longest_edge`) are pixels of a frame, or `of_video`, as in
    Qwen3-VL, of all sampled frames together. `factor` is the side of a token in pixels. `video_tokens` is the processor's
    `max_video_tokens`: of a whole video, or `of_video`, again as in Qwen3-VL, of one frame.
    """

    factor: int
    shortest: int
    longest: int
    of_video: bool
    video_tokens: int
    frames_per_patch: int = 2
    shape: FrameShape = field(default_factory=lambda: FrameShape("own"))

    def size(self, frames: int, height: int, width: int) -> tuple[int, int]:
        """(height, width) of each of so many frames of `height` x `width` pixels: multiples of `factor`.

        As the processors do with `cap_pixels_per_frame`; `min_pixels` and `max_pixels` of `shape` are of a frame, and the latter
        wins (ours).
        Raises `ValueError` for a frame without pixels, or one that is more than `NARROWEST` times as long as wide.
        """
        if min(height, width) < 1 or max(height, width) > NARROWEST * min(height, width):
            raise ValueError(
                f"frames of {width}x{height} pixels are too narrow: neither side may be over {NARROWEST} times the other"
            )
        counted = max(frames, self.frames_per_patch) if self.of_video else 1
        least, most = self.shortest, self._most(counted if self.of_video else frames) * counted
        if self.shape.min_pixels is not None or self.shape.max_pixels is not None:
            least = self.shape.min_pixels or -(-least // counted)
            most, counted = self.shape.max_pixels or max(most // counted, int(least * 1.05)), 1
        patch = self.frames_per_patch if counted > 1 else 1
        options: dict[str, Any] = {"frames": counted, "frames_per_patch": patch, "enlarge_first": self.of_video}
        size = smart_resize(height, width, self.factor, min(least, most), most, **options)
        if (
            self.shape.max_pixels is not None and size[0] * size[1] > most
        ):  # enlarged to a minimum so near: the maximum holds
            size = smart_resize(height, width, self.factor, 1, most, **options)
        return size

    def _most(self, frames: int) -> int:
        """Most pixels of one of so many frames where none are asked for."""
        token = self.factor**2
        if self.of_video:
            most = min(self.video_tokens * token, self.longest // frames)
        else:
            most = min(self.longest, int(self.video_tokens * token * 0.9) * self.frames_per_patch // frames)
        return max(most, int(self.shortest * 1.05))


def published_limits(
    path: str,
    access: HubSource,
    *,
    factor: int,
    shortest: int,
    longest: int,
    video_tokens: int,
    of_video: bool,
    frames_per_patch: int,
    shape: FrameShape,
) -> PixelLimits:
    """The limits that the checkpoint `path` states for its video processor; those given here where it states none.

    They are sought where transformers seeks them: `processor_config.json`, `video_preprocessor_config.json`,
    `preprocessor_config.json`; `min_pixels` and `max_pixels` win over `size`. The last is written for images, and of a single
    picture it allows twenty times what a frame of a video gets: of it a frame has `TOKENS_A_FRAME` tokens at most (ours).
    """
    told, of_images = _processor_settings(path, access)
    size = told.get("size") or {}
    shortest = told.get("min_pixels") or size.get("shortest_edge") or shortest
    most = told.get("max_pixels") or size.get("longest_edge") or longest
    if of_images and not of_video:
        most = min(most, TOKENS_A_FRAME * factor**2)
    tokens = told.get("max_video_tokens") or video_tokens
    return PixelLimits(factor, int(shortest), int(most), of_video, int(tokens), frames_per_patch, shape)


def _processor_settings(path: str, access: HubSource) -> tuple[dict[str, Any], bool]:
    """Settings of the video processor, and whether they are those of images; none where no file is there."""
    for name in ("processor_config.json", "video_preprocessor_config.json", "preprocessor_config.json"):
        file = checkpoint_file(path, name, **access)
        told = {} if file is None else read_object(file)
        if name == "processor_config.json":
            told = told.get("video_processor") or {}
        if told:
            return told, name == "preprocessor_config.json"
    return {}, False
