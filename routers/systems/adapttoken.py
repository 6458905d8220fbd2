"""AdaptToken and AdaptToken-Lite (arXiv 2603.28696), and `attention_topk`, the baseline without entropy (ours).

The model itself, group by group of frames, says which tokens it needs and how sure it is. Lite stops once enough groups were
answered with certainty.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Final

import torch

from videorouter.routers.backbones.protocol import Backbone
from videorouter.routers.backbones.sources import TokenSource
from videorouter.routers.systems.base import CompressedVideo
from videorouter.routers.systems.group_inspection import (
    Candidates,
    InspectedGroup,
    Inspection,
    bit_reversed,
    certainty,
    group_budgets,
    interleaved_groups,
)
from videorouter.routers.systems.query import Query, question_text
from videorouter.routers.systems.redundancy import SIGMA_T, remove_redundant
from videorouter.routers.systems.spec import Kind

PUBLISHED: Final = {"qwen2.5-vl-7b": 20, "internvl2.5-8b": 15, "llava-video-7b": 19}
"""By what the name of a checkpoint holds, `_` read as `.` (AdaptToken, arXiv 2603.28696)."""
DEPTH: Final = 0.55
"""Of the layers, for every other model (ours; the published are 0.47 to 0.71). `videorouter routers probe-layer` measures it."""


def reference_layer(backbone: Backbone) -> int:
    """The published layer of a published model; else the one at `DEPTH` of the model's depth (ours).

    Where that sees a window of its prompt alone, the nearest that sees all of it, of two the deeper.
    """
    name = backbone.path.lower().replace("_", ".")
    for model, layer in PUBLISHED.items():
        if model in name and layer < backbone.layers:
            return layer
    usual = min(backbone.layers - 1, round(backbone.layers * DEPTH))
    return min(backbone.readable_layers, key=lambda layer: (abs(layer - usual), -layer), default=usual)


def checked_layer(layer: int | None, backbone: Backbone) -> int:
    """`layer`, or the model's reference layer where it is None. Raises `ValueError` for one that the model lacks."""
    if layer is None:
        return reference_layer(backbone)
    if not 0 <= layer < backbone.layers:
        raise ValueError(f"layer {layer} is outside 0..{backbone.layers - 1}, the decoder layers of {backbone.path}")
    return layer


__all__ = ["AdaptToken", "certainty", "group_budgets", "interleaved_groups", "remove_redundant"]


@dataclass(frozen=True)
class AdaptToken:
    """Training-free selection of single tokens; up to 10,000 frames in the memory of one group and the budget.

    `layer` (0-based) is the model's reference layer where None. Frames go in interleaved groups of at most `group_frames`;
    a group's share is the softmax of its certainty over `tau`; `over_selection` x budget tokens are taken, of which the
    redundant go. Ours: `sigma_t` in seconds, and `max_new_tokens` of the short response.
    """

    reads_attention: ClassVar[bool] = True
    drops_tokens: ClassVar[bool] = True

    backbone: Backbone
    layer: int | None = None
    group_frames: int = 64
    tau: float = 2.0
    over_selection: float = 1.1
    sigma_t: float = SIGMA_T
    max_new_tokens: int = 16
    name: str = "adapttoken"
    budgeted: bool = True
    kind: Kind = "compared"
    spends_cap: bool = False

    @torch.no_grad()
    def compress(self, video_tokens: TokenSource, query: Query, budget: int) -> CompressedVideo:
        """A tensor `[T, M, channels]` or any `TokenSource`, of which a group's frames are taken at a time.

        Times for redundancy removal are `query.seconds`; without them frames count as a second apart. Raises
        `ValueError` for a budget below the tokens of one frame, times that are not one a frame, or a layer that there is not.
        """
        rows, columns = query.grid_or(self.backbone.grid)
        check_holds_a_frame(budget, rows * columns)
        frames, seconds = len(video_tokens), query.seconds
        if seconds is not None and len(seconds) != frames:
            raise ValueError(f"{len(seconds)} frame times for {frames} frames: give one a frame, or none")
        layer = checked_layer(self.layer, self.backbone)
        text = question_text(query)
        inspection = Inspection(self.backbone, text, layer, self.max_new_tokens, query.between, query.cache, query.grid)
        candidates = Candidates(math.floor(self.over_selection * budget + 1e-9), self.tau)
        certainties: list[float] = []
        for group in self.visits(interleaved_groups(frames, self.group_frames)):
            seen = inspection.of(video_tokens, group, seconds)
            candidates.add(seen)
            certainties.append(seen.certainty)
            if self.enough(certainties):
                break
        kept = self._thinned(candidates.selected(), seconds or range(frames), budget, columns)
        return replace(kept, grid=query.grid)

    def least_budget(self, tokens_per_frame: int) -> int:
        """One frame."""
        return tokens_per_frame

    def visits(self, groups: list[list[int]]) -> Iterable[list[int]]:
        """The groups in the order they are run: as they are."""
        return groups

    def enough(self, certainties: Sequence[float]) -> bool:
        """Whether to stop after the groups seen, given their certainties: never."""
        return False

    def _thinned(
        self, selected: InspectedGroup, seconds: Sequence[float], budget: int, columns: int
    ) -> CompressedVideo:
        """The over-selected tokens without the redundant: at most `budget`, in temporal and raster order."""
        kept = remove_redundant(
            selected.tokens[:, : self.backbone.hidden_size],
            selected.scores,
            torch.tensor(seconds, dtype=torch.float64)[selected.frames],
            torch.stack([selected.cells // columns, selected.cells % columns], dim=1),
            budget,
            self.sigma_t,
        )
        return CompressedVideo(
            embeddings=selected.tokens[kept.to(selected.tokens.device)],
            frames=selected.frames[kept].to(selected.tokens.device),
            cells=selected.cells[kept].to(selected.tokens.device),
            positions=self.backbone.position_policy,
            total_frames=len(seconds),
        )


def check_holds_a_frame(budget: int, least: int) -> None:
    """Raise `ValueError` for a budget below one frame's tokens, `least`: answers from scraps would pass for some from the video."""
    if budget < least:
        raise ValueError(
            f"a budget of {budget} tokens cannot hold one frame of {least}: the smallest workable is {least}"
        )


@dataclass(frozen=True)
class AdaptTokenLite(AdaptToken):
    """AdaptToken (arXiv 2603.28696) that stops once `confident_groups` answers had an entropy of at most `max_entropy` nats.

    Tokens come from the groups seen alone. Ours, to be calibrated on held-out data: 0.15 nats, two groups; and
    `far_apart`, which visits groups in bit-reversed order, so that two that follow each other differ more.
    """

    confident_groups: int = 2
    max_entropy: float = 0.15
    far_apart: bool = False
    name: str = "adapttoken_lite"

    def visits(self, groups: list[list[int]]) -> Iterable[list[int]]:
        return [groups[number] for number in bit_reversed(len(groups))] if self.far_apart else groups

    def enough(self, certainties: Sequence[float]) -> bool:
        return sum(-certainty <= self.max_entropy for certainty in certainties) >= self.confident_groups


@dataclass(frozen=True)
class AttentionTopk(AdaptToken):
    """Groups and attention as in AdaptToken; at an infinite `tau` all groups weigh alike, and nothing is over-selected.

    So nothing is redundant. The response is one token long, as its entropy is not read.
    """

    tau: float = math.inf
    over_selection: float = 1.0
    max_new_tokens: int = 1
    name: str = "attention_topk"
