"""A question's video, found, decoded once in a process that can be killed, and encoded as JPEG once for all questions."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from videorouter.data_builders.bounds import ANY, check_above_zero, check_bounds
from videorouter.data_builders.teacher.request import DataUrl, Picture, data_url
from videorouter.data_builders.video_paths import VideoPaths
from videorouter.routers.backbones.frame_shape import Aspect, smart_resize
from videorouter.shards import jpeg
from videorouter.shards.schema import VideoRecord
from videorouter.video.decode import sample_frames
from videorouter.video.errors import TooShortVideo
from videorouter.video.frames import SampledFrames, Sizing
from videorouter.video.sampling import SAMPLERS
from videorouter.video.verdict_cache import VerdictCache
from videorouter.video.worker import DecodePool


@dataclass
class FrameConfig:
    """How frames are taken.

    Args:
        videos: folder that questions' video paths are relative to
        video_map: JSON file {name in the annotations: file under `videos`}, where they differ
        allow_outside: also take videos that lie outside of that folder: absolute paths, `..`, symbolic links that lead out
        frames: frames sampled a video
        frame_size: side in pixels of the square stored frame: what the base model reads
        aspect: `own` keeps the frames' aspect ratio, at most as many pixels as that square has; for models that see it (Qwen-VL)
        frame_multiple: both sides of such frames are multiples of this: a token's side, 28 for Qwen2.5-VL, 32 for Qwen3-VL
        sampler: segment_midpoint or interior
        quality: JPEG quality
        shortest: seconds a video lasts at least to be taken
        deadline: seconds one video may take to decode
        memory: GiB one decoding process may hold
        decoders: decoding processes in parallel
    """

    videos: Path
    video_map: Path | None = None
    allow_outside: bool = False
    frames: int = 64
    frame_size: int = 448
    aspect: Aspect = "square"
    frame_multiple: int = 28
    sampler: str = "segment_midpoint"
    quality: int = 95
    shortest: float = 0.0
    deadline: float = 120.0
    memory: float = 4.0
    decoders: int = 1

    def __post_init__(self) -> None:
        """Raises `ValueError` for a folder of videos that is not there, an unknown sampler, and numbers out of bounds."""
        if not self.videos.is_dir():
            raise ValueError(
                f"--videos {self.videos} is not a folder: give the one that questions' video paths are relative to"
            )
        if self.sampler not in SAMPLERS:
            raise ValueError(f"unknown sampler {self.sampler!r}: there are {', '.join(SAMPLERS)}")
        counts = dict.fromkeys(("frames", "frame_size", "frame_multiple", "decoders"), (1, ANY))
        check_bounds(self, {**counts, "quality": (1, 100), "shortest": (0, ANY)})
        check_above_zero(self, "deadline", "memory")
        if self.aspect == "own" and self.frame_multiple > self.frame_size:
            raise ValueError(
                f"frame_multiple {self.frame_multiple} is above frame_size {self.frame_size}: no frame fits"
            )

    @property
    def sizing(self) -> Sizing:
        """To which size decoded frames are brought; it crosses to decoding processes."""
        if self.aspect == "square":
            return self.frame_size
        return partial(own_size, self.frame_size, self.frame_multiple)

    def stores(self, height: int, width: int) -> bool:
        """Whether a stored frame of that size may be of a build with this configuration."""
        if self.aspect == "square":
            return height == width == self.frame_size
        fits = height * width <= self.frame_size**2 or min(height, width) == self.frame_multiple
        return fits and height % self.frame_multiple == width % self.frame_multiple == 0


def own_size(frame_size: int, multiple: int, height: int, width: int) -> tuple[int, int]:
    """(height, width) of a frame stored at its own aspect ratio: nearly as it is, where that is not above `frame_size` squared."""
    return smart_resize(height, width, multiple, multiple**2, frame_size**2)


@dataclass(frozen=True)
class PreparedVideo:
    """A decoded video: its record, and T JPEGs of the stored size; `smaller` keeps URLs of (frame, scale) once made."""

    record: VideoRecord
    jpegs: list[bytes]
    smaller: dict[tuple[int, int], DataUrl] = field(default_factory=dict, compare=False, repr=False)

    @cached_property
    def urls(self) -> list[DataUrl]:
        """The frames as data URLs, made once for all questions."""
        return [data_url(picture) for picture in self.jpegs]

    def pictures(self, chosen: Sequence[int]) -> list[Picture]:
        """The chosen frames as a teacher sees them, numbered from 1."""
        return [Picture(f"Frame-{number}:", self.urls[frame]) for number, frame in enumerate(chosen, start=1)]


class VideoFolder:
    """Finds and decodes the videos of one build; where `verdicts` are kept, files that can give no frames are not tried again."""

    def __init__(self, config: FrameConfig, verdicts: VerdictCache | None = None) -> None:
        self.config = config
        self.verdicts = verdicts
        self._paths = VideoPaths(config.videos, config.video_map, config.allow_outside)
        self._pool = DecodePool(config.decoders, config.memory)

    def find(self, name: str) -> Path:
        """The file of a video. Raises `MissingVideo`, `OutsideVideo`."""
        return self._paths.find(name)

    def prepare(self, name: str) -> PreparedVideo:
        """Decode and encode one video. Raises `VideoError`."""
        config, path = self.config, self.find(name)
        with self._consulted(path, config.shortest):
            options = (config.frames, config.sampler, config.sizing, config.quality)
            video = self._pool.run(config.deadline, _prepare, path, name, *options)
            if video.record.duration < config.shortest:
                raise TooShortVideo(path, video.record.duration, config.shortest)
        return video

    def decode(self, function: Callable[..., SampledFrames], name: str, *arguments: Any) -> SampledFrames:
        """Run a function of `videorouter.video.decode` on a video, however short, in a decoding process. Raises `VideoError`."""
        path = self.find(name)
        with self._consulted(path):
            return self._pool.run(self.config.deadline, function, path, *arguments)

    def close(self) -> None:
        """End the decoding processes."""
        self._pool.close()

    def _consulted(self, path: Path, shortest: float = 0.0) -> AbstractContextManager[None]:
        return self.verdicts.consulted(path, shortest) if self.verdicts else nullcontext()


def _prepare(path: Path, name: str, frames: int, sampler: str, size: Sizing, quality: int) -> PreparedVideo:
    """In the decoding process: the JPEGs cross its pipe, not ten times as many bytes of pixels."""
    return prepared(name, sample_frames(path, frames, sampler, size), quality)


def prepared(name: str, sampled: SampledFrames, quality: int) -> PreparedVideo:
    """Encode sampled frames and record where they came from."""
    jpegs = [jpeg.encode(frame, quality) for frame in sampled.frames]
    height, width = sampled.frames.shape[1:3]
    record = VideoRecord(
        uri=name,
        duration=sampled.duration,
        fps=sampled.fps,
        total=sampled.total,
        promised=sampled.promised,
        decoder=sampled.decoder,
        sampler=sampled.sampler,
        indices=sampled.indices,
        seconds=sampled.seconds,
        height=height,
        width=width,
        frame_bytes=[len(data) for data in jpegs],
    )
    return PreparedVideo(record, jpegs)
