"""M-RoPE families (Qwen-VL): positions are those of the whole video, and the ones of kept tokens are sliced out."""

import math
from abc import abstractmethod
from collections.abc import Collection, Sequence
from functools import partial
from typing import Any, ClassVar, Unpack

import numpy as np
import torch
from torch import Tensor

from videorouter.routers.backbones.frame_shape import USUAL_SQUARE, FrameShape
from videorouter.routers.backbones.layout import ALONE, NO_FRAME, Dialogue, Layout, lay_out, texts_around
from videorouter.routers.backbones.loading import loading_from
from videorouter.routers.backbones.loading_options import HubSource, Loading, hub_source
from videorouter.routers.backbones.native import NativeBackbone, span_counts
from videorouter.routers.backbones.own_aspect import TOKENS_A_FRAME, PixelLimits, published_limits
from videorouter.routers.backbones.pixels import patchify
from videorouter.routers.backbones.prompt import Prompt
from videorouter.routers.backbones.protocol import Grid, Kept, PositionPolicy
from videorouter.video.frames import Sizing

MOST_SIDE = 4096
"""Of a square: that of 16,384 tokens of 32 pixels a side, the most of a picture in the families' published processors."""
VIDEO_TOKEN = 2
"""What `get_rope_index` calls a token of a video."""


class MRopeBackbone(NativeBackbone):
    """Frames keep their aspect ratio, as the family's video processor sizes them, or are squeezed to a square (ours).

    They are merged in pairs. At their own aspect ratio each video has a grid of its own (`grid_of`).

    Under `original`, the family's own policy, the prompt is laid out with every token of every frame, the class itself counts
    its positions, and what was not kept is then left out (VidCom2, AdaptToken). Under `contiguous` they are 0..L-1 on all axes.
    What is written between frames is text like any other, and takes its share of positions, whatever is kept around it.
    """

    position_policy: PositionPolicy = "original"
    pixels_of_video: ClassVar[bool] = False
    """Whether the video processor's pixels are those of all frames together."""
    usual_pixels: ClassVar[tuple[int, int]] = (128 * 28 * 28, TOKENS_A_FRAME * 28 * 28)
    """The published video processor's `size`, for a checkpoint that has no file of one."""
    video_tokens: ClassVar[int] = 128_000
    """The published `max_video_tokens`."""

    def __init__(self, path: str, *, shape: FrameShape | None = None, **loading: Unpack[Loading]) -> None:
        """`shape` says how frames are seen, at their own aspect ratio where null.

        Raises `ValueError` for a square whose side is no multiple of a token's own.
        """
        super().__init__(path, **loading)
        vision: Any = self.model.config.vision_config
        self._cell = vision.patch_size * vision.spatial_merge_size
        self.shape = shape = shape or FrameShape("own")
        self.frames_per_patch = vision.temporal_patch_size
        self.frame_size = self.grid = None
        if shape.aspect == "square":
            self.frame_size = shape.frame_size or USUAL_SQUARE
            self.grid = self.grid_at(self.frame_size)
        self.limits = self.limits_at(path, vision, shape, hub_source(loading))
        self.video_token_id: int = self.model.config.video_token_id
        self.video_token = str(self.tokenizer.convert_ids_to_tokens(self.video_token_id))
        self._counted: tuple[Any, tuple[Tensor, int]] | None = None

    @classmethod
    def limits_at(cls, path: str, vision: Any, shape: FrameShape, source: HubSource) -> PixelLimits:
        """How the checkpoint `path` sizes frames of `shape`, from its processor files alone; `vision` is the config of its tower.

        Raises `ValueError` for files that cannot be read.
        """
        least, most = cls.usual_pixels
        with loading_from(path):
            return published_limits(
                path,
                source,
                factor=vision.patch_size * vision.spatial_merge_size,
                shortest=least,
                longest=most,
                video_tokens=cls.video_tokens,
                of_video=cls.pixels_of_video,
                frames_per_patch=vision.temporal_patch_size,
                shape=shape,
            )

    def grid_of(self, frames: int, height: int, width: int) -> Grid:
        if self.grid is not None:
            return self.grid
        rows, columns = self.limits.size(frames, height, width)
        return rows // self._cell, columns // self._cell

    def sizing(self, frames: int) -> Sizing:
        return self.frame_size or partial(self.limits.size, frames)

    def size_of(self, grid: Grid) -> tuple[int, int]:
        if min(grid) < 1:
            raise ValueError(f"frames of {grid[0]}x{grid[1]} tokens: give at least one row and one column")
        return grid[0] * self._cell, grid[1] * self._cell

    def grid_at(self, side: int, grid: Grid | None = None) -> Grid:
        """A square of `side` pixels, or as many pixels in the shape of `grid`."""
        if self.grid is None and grid is not None:
            share = side / self._cell / math.sqrt(grid[0] * grid[1])
            return max(1, round(grid[0] * share)), max(1, round(grid[1] * share))
        if side > MOST_SIDE:
            raise ValueError(
                f"frames of {side} pixels: {self.path} was made for pictures of at most {MOST_SIDE} x {MOST_SIDE}"
            )
        if side < self._cell or side % self._cell:
            raise ValueError(
                f"frames of {side} pixels: {self.path} needs a multiple of {self._cell}, such as {16 * self._cell}"
            )
        return side // self._cell, side // self._cell

    @abstractmethod
    def _pieces(
        self,
        frames: Sequence[int],
        written: Sequence[str],
        seconds: Sequence[float] | None,
        kept: Collection[int],
    ) -> list[tuple[int, str]]:
        """(owner, text) of the user message, one placeholder for each of `frames`; what leaves with a frame is owned by it.

        `written` is what stands before each of them, and after the last with the question; `kept` are those that do not leave.
        """

    @abstractmethod
    def _position_options(self, frames: int, seconds: Sequence[float] | None, runs: int) -> dict[str, Any]:
        """What `get_rope_index` takes beside ids and grids, where text cuts the video into so many `runs` of tokens."""

    @torch.no_grad()
    def embed_prompt(
        self,
        kept: Kept,
        text: str,
        seconds: Sequence[float] | None = None,
        between: Sequence[str] | None = None,
        dialogue: Dialogue = ALONE,
    ) -> Prompt:
        """As `Backbone`. Raises `ValueError` for `seconds` that do not say when each frame is shown."""
        policy = kept.positions or self.position_policy
        frames = kept.frames.cpu()
        total = len(seconds) if seconds is not None else kept.total_frames or int(frames[-1]) + 1
        if total <= int(frames[-1]):
            raise ValueError(f"{total} frames' seconds for a video with a frame {int(frames[-1])}: give one each")
        spans = kept.spans
        left = [span.frame for span in spans]
        laid = left if policy == "contiguous" else range(total)
        written = texts_around(between, laid, kept.total_frames)
        written[-1] += text
        layout = lay_out(
            self.tokenizer, self._pieces(laid, written, seconds, set(left)), self.video_token_id, self._around(dialogue)
        )
        if policy == "contiguous":
            return self._prompt(layout.expanded(span_counts(spans)), kept)
        grid = kept.grid or self.grid
        if grid is None:
            raise ValueError(
                f"the kept tokens do not say on which grid the frames were, and in {self.path} that follows the video: "
                "give it as `CompressedVideo(..., grid=...)`"
            )
        per_frame = grid[0] * grid[1]
        layout = layout.expanded(torch.full((total,), per_frame))
        positions, following = self._whole_positions(layout, total, seconds, grid)
        places = self._kept_places(layout, frames, kept.cells.cpu(), total, per_frame)
        sliced = positions[:, None, places].to(self.device)
        return self._prompt(layout.picked(places), kept, sliced, following)

    def _prompt(
        self, layout: Layout, kept: Kept, positions: Tensor | None = None, following: int | None = None
    ) -> Prompt:
        first, *levels = kept.embeddings.split(self.hidden_size, dim=-1)
        embeddings = self._with_tokens(layout.ids, layout.placeholder, first)
        visual = layout.placeholder.nonzero()[:, 0].to(self.device)
        deepstack = tuple(level.to(embeddings) for level in levels)
        return Prompt(embeddings, visual, positions, deepstack, following)

    @staticmethod
    def _kept_places(layout: Layout, frames: Tensor, cells: Tensor, total: int, per_frame: int) -> Tensor:
        """`[L]` increasing places, in the whole prompt, of text that stays and of the kept tokens."""
        stays = torch.zeros(total + 1, dtype=torch.bool)
        stays[frames] = True
        stays[NO_FRAME] = True
        picked = stays[layout.owners] & ~layout.placeholder
        visual = layout.placeholder.nonzero()[:, 0]
        assert int(cells.max()) < per_frame, "a kept token is outside its frame's grid"
        order = frames * per_frame + cells
        assert (order.diff() > 0).all(), "kept tokens are not in temporal and raster order"
        picked[visual[order]] = True
        return picked.nonzero()[:, 0]

    def _whole_positions(
        self, layout: Layout, total: int, seconds: Sequence[float] | None, grid: Grid
    ) -> tuple[Tensor, int]:
        """`[3, L]` of the whole prompt, on the CPU, and the position that follows; the last answer is remembered."""
        shown, lengths = layout.placeholder.unique_consecutive(return_counts=True)
        patches = lengths[shown] // (grid[0] * grid[1])
        options = self._position_options(total, seconds, len(patches))
        key = (tuple(lengths.tolist()), total, grid, str(options))
        if self._counted is None or self._counted[0] != key:
            vision: Any = self.model.config.vision_config
            rows, columns = (side * vision.spatial_merge_size for side in grid)
            positions, deltas = self.model.model.get_rope_index(
                layout.ids[None],
                mm_token_type_ids=VIDEO_TOKEN * layout.placeholder[None].int(),
                video_grid_thw=torch.tensor([[count, rows, columns] for count in patches.tolist()]),
                **options,
            )
            self._counted = key, (positions[:, 0], len(layout.ids) + int(deltas))
        return self._counted[1]

    def _patches(self, frames: np.ndarray, grid: Grid | None = None) -> tuple[Tensor, Tensor]:
        """Pixels as the vision tower takes them, and their patches (frames, rows, columns) `[1, 3]`."""
        vision: Any = self.model.config.vision_config
        pixels = self._pixels(frames, grid)
        return patchify(pixels, vision.patch_size, vision.spatial_merge_size, vision.temporal_patch_size)
