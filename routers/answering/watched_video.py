"""A video decoded and encoded once, for all questions about it and all systems that answer them."""

import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from videorouter.routers.backbones.protocol import Backbone, Grid
from videorouter.routers.backbones.sources import LazyTokens, TokenSource
from videorouter.routers.backbones.temporal import merged_seconds
from videorouter.routers.systems.query import Query, Truth
from videorouter.routers.systems.remembered_states import RememberedStates
from videorouter.video.decode import sample_frames
from videorouter.video.frames import SampledFrames
from videorouter.video.pyav import frame_shape


@dataclass(frozen=True)
class WatchedVideo:
    """T frames' `tokens`, encoded or, on demand, to be encoded; what decoding and encoding took.

    `seconds` `[T]` says when each is shown. Where the model merges frames, a frame is a merged pair and its second their middle.
    `grid` is (rows, columns) of each frame's tokens: where frames keep their aspect ratio, this video's own.
    `states` is where the Image Router's work on the frames is kept for the next question; None keeps nothing.
    """

    sampled: SampledFrames
    tokens: TokenSource
    seconds: tuple[float, ...]
    frames_per_patch: int
    decode_seconds: float
    vision_seconds: float
    grid: Grid
    states: RememberedStates | None = field(default=None, compare=False, repr=False)

    @property
    def nbytes(self) -> int:
        """Bytes of frames, tokens and remembered states, in whatever memory each lies."""
        tokens = self.tokens.nbytes if isinstance(self.tokens, Tensor) else 0
        return self.sampled.frames.nbytes + tokens + (self.states.nbytes if self.states is not None else 0)

    @property
    def all_tokens(self) -> Tensor:
        """`[T, M, channels]`, where all frames are encoded."""
        assert isinstance(self.tokens, Tensor), "the video was watched on demand"
        return self.tokens

    def encoded(self) -> "WatchedVideo":
        """The same with the tokens of all frames, for systems that want them at once."""
        if not isinstance(self.tokens, LazyTokens):
            return self
        started = time.perf_counter()
        tokens = self.tokens[list(range(len(self.tokens)))]
        return replace(self, tokens=tokens, vision_seconds=self.vision_seconds + time.perf_counter() - started)

    def remembering(self, most_bytes: int | None = None, device: torch.device | None = None) -> "WatchedVideo":
        """The same video, with states remembered from the next question on: `most_bytes` and `device` as in `RememberedStates`."""
        return replace(self, states=RememberedStates(most_bytes, device))

    def query(
        self,
        question: str,
        options: tuple[str, ...] | None = None,
        truth: Truth | None = None,
        text: str | None = None,
        between: tuple[str, ...] | None = None,
    ) -> Query:
        """A question about this video as the systems see it; `text` and `between` as in `Query`."""
        frames = self.sampled.frames[:: self.frames_per_patch]
        return Query(question, options, truth, self.seconds, frames, text, between, grid=self.grid, states=self.states)


def sampled_frames(backbone: Backbone, video: str | Path, frames: int, sampler: str) -> SampledFrames:
    """`frames` frames of a file at the size in pixels that the model encodes. Raises as `sample_frames`."""
    return sample_frames(video, frames, sampler=sampler, size=backbone.sizing(frames))


def grid_of_file(backbone: Backbone, video: Path, frames: int) -> Grid:
    """The grid that `watch` would find, from the file's first frame alone.

    Raises `VideoError` or whatever its decoder raises for an unreadable file, `ValueError` for frames of an unworkable shape.
    """
    return backbone.grid or backbone.grid_of(frames, *frame_shape(video))


def watch(
    backbone: Backbone, video: str | Path | SampledFrames, frames: int, sampler: str, *, on_demand: bool = False
) -> WatchedVideo:
    """Sample `frames` frames of a file (or take frames already sampled) and encode them, or leave that to who asks for them.

    Where frames keep their aspect ratio, it is that of the file, also of frames sampled at another size.

    Raises `VideoError` for an unreadable file, `ValueError` for an unknown sampler or frames of an unworkable shape.
    """
    started = time.perf_counter()
    if not isinstance(video, SampledFrames):
        video = sampled_frames(backbone, video, frames, sampler)
    decoded = time.perf_counter()
    grid = backbone.grid_of(len(video.frames), *(video.shape or video.frames.shape[1:3]))
    tokens: TokenSource = LazyTokens(backbone, video.frames, grid)
    if not on_demand:
        tokens = backbone.encode_frames(video.frames, grid=grid)
    merged = backbone.frames_per_patch
    return WatchedVideo(
        video,
        tokens,
        merged_seconds(video.seconds, merged),
        merged,
        decode_seconds=decoded - started,
        vision_seconds=time.perf_counter() - decoded,
        grid=grid,
    )
