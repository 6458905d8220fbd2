"""M-RoPE families (Qwen-VL): positions are those of the whole video, and the ones of kept tokens are sliced out."""

from abc import abstractmethod
from collections.abc import Collection, Sequence
from typing import Any, Unpack

import numpy as np
import torch
from torch import Tensor

from videorouter.routers.backbones.layout import NO_FRAME, Layout, lay_out, texts_around
from videorouter.routers.backbones.loading_options import Loading
from videorouter.routers.backbones.native import NativeBackbone, span_counts
from videorouter.routers.backbones.pixels import patchify
from videorouter.routers.backbones.prompt import Prompt
from videorouter.routers.backbones.protocol import Kept, PositionPolicy

VIDEO_TOKEN = 2
"""What `get_rope_index` calls a token of a video."""


class MRopeBackbone(NativeBackbone):
    """Frames are squeezed to a square (ours), so that all videos have one grid, and merged in pairs.

    Under `original`, the family's own policy, the prompt is laid out with every token of every frame, the class itself counts
    its positions, and what was not kept is then left out (VidCom2, AdaptToken). Under `contiguous` they are 0..L-1 on all axes.
    What is written between frames is text like any other, and takes its share of positions, whatever is kept around it.
    """

    position_policy: PositionPolicy = "original"

    def __init__(self, path: str, *, frame_size: int = 448, **loading: Unpack[Loading]) -> None:
        """`frame_size`: the square's side in pixels, a multiple of a token's own. Raises `ValueError` for another."""
        super().__init__(path, **loading)
        vision: Any = self.model.config.vision_config
        side = vision.patch_size * vision.spatial_merge_size
        if frame_size < side or frame_size % side:
            raise ValueError(f"frames of {frame_size} pixels: {path} needs a multiple of {side}, such as {16 * side}")
        self.frame_size = frame_size
        self.grid = (frame_size // side, frame_size // side)
        self.frames_per_patch = vision.temporal_patch_size
        self.video_token_id: int = self.model.config.video_token_id
        self.video_token = str(self.tokenizer.convert_ids_to_tokens(self.video_token_id))
        self._counted: tuple[Any, tuple[Tensor, int]] | None = None

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
            self.tokenizer, self._pieces(laid, written, seconds, set(left)), self.video_token_id, self.system_prompt
        )
        if policy == "contiguous":
            return self._prompt(layout.expanded(span_counts(spans)), kept)
        layout = layout.expanded(torch.full((total,), self.tokens_per_frame))
        positions, following = self._whole_positions(layout, total, seconds)
        places = self._kept_places(layout, frames, kept.cells.cpu(), total)
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

    def _kept_places(self, layout: Layout, frames: Tensor, cells: Tensor, total: int) -> Tensor:
        """`[L]` increasing places, in the whole prompt, of text that stays and of the kept tokens."""
        stays = torch.zeros(total + 1, dtype=torch.bool)
        stays[frames] = True
        stays[NO_FRAME] = True
        picked = stays[layout.owners] & ~layout.placeholder
        visual = layout.placeholder.nonzero()[:, 0]
        order = frames * self.tokens_per_frame + cells
        assert (order.diff() > 0).all(), "kept tokens are not in temporal and raster order"
        picked[visual[order]] = True
        return picked.nonzero()[:, 0]

    def _whole_positions(self, layout: Layout, total: int, seconds: Sequence[float] | None) -> tuple[Tensor, int]:
        """`[3, L]` of the whole prompt, on the CPU, and the position that follows; the last answer is remembered."""
        shown, lengths = layout.placeholder.unique_consecutive(return_counts=True)
        patches = lengths[shown] // self.tokens_per_frame
        options = self._position_options(total, seconds, len(patches))
        key = (tuple(lengths.tolist()), total, str(options))
        if self._counted is None or self._counted[0] != key:
            vision: Any = self.model.config.vision_config
            rows, columns = (side * vision.spatial_merge_size for side in self.grid)
            positions, deltas = self.model.model.get_rope_index(
                layout.ids[None],
                mm_token_type_ids=VIDEO_TOKEN * layout.placeholder[None].int(),
                video_grid_thw=torch.tensor([[count, rows, columns] for count in patches.tolist()]),
                **options,
            )
            self._counted = key, (positions[:, 0], len(layout.ids) + int(deltas))
        return self._counted[1]

    def _patches(self, frames: np.ndarray) -> tuple[Tensor, Tensor]:
        """Pixels as the vision tower takes them, and their grid `[1, 3]`."""
        vision: Any = self.model.config.vision_config
        return patchify(self._pixels(frames), vision.patch_size, vision.spatial_merge_size, vision.temporal_patch_size)
