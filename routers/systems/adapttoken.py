"""AdaptToken: the model itself, group by group of frames, says which tokens it needs and how sure it is (arXiv 2603.28696)."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch

from videorouter.routers.backbones.base import Backbone
from videorouter.routers.prompts import question_text
from videorouter.routers.reference_layers import checked_layer
from videorouter.routers.systems.adapttoken_groups import certainty, group_budgets, interleaved_groups
from videorouter.routers.systems.base import CompressedVideo
from videorouter.routers.systems.candidates import Candidates
from videorouter.routers.systems.group_inspection import InspectedGroup, Inspection
from videorouter.routers.systems.query import Query
from videorouter.routers.systems.redundancy import SIGMA_T, remove_redundant
from videorouter.routers.token_source import TokenSource

__all__ = ["AdaptToken", "certainty", "group_budgets", "interleaved_groups", "remove_redundant"]


@dataclass(frozen=True)
class AdaptToken:
    """Training-free selection of single tokens; up to 10,000 frames in the memory of one group and the budget.

    `layer` (0-based) is the model's reference layer where None. Frames go in interleaved groups of at most `group_frames`;
    a group's share is the softmax of its certainty over `tau`; `over_selection` x budget tokens are taken, of which the
    redundant go. Ours: `sigma_t` in seconds, and `max_new_tokens` of the short response.
    """

    backbone: Backbone
    layer: int | None = None
    group_frames: int = 64
    tau: float = 2.0
    over_selection: float = 1.1
    sigma_t: float = SIGMA_T
    max_new_tokens: int = 16
    name: str = "adapttoken"
    budgeted: bool = True
    reference: bool = False

    @torch.no_grad()
    def compress(self, video_tokens: TokenSource, query: Query, budget: int) -> CompressedVideo:
        """A tensor `[T, M, channels]` or any `TokenSource`, of which a group's frames are taken at a time.

        Times for redundancy removal are `query.seconds`; without them frames count as a second apart. Raises
        `ValueError` for a budget below the tokens of one frame, times that are not one a frame, or a layer that there is not.
        """
        check_holds_a_frame(budget, self.backbone)
        frames, seconds = len(video_tokens), query.seconds
        if seconds is not None and len(seconds) != frames:
            raise ValueError(f"{len(seconds)} frame times for {frames} frames: give one a frame, or none")
        layer = checked_layer(self.layer, self.backbone)
        text = question_text(query)
        inspection = Inspection(self.backbone, text, layer, self.max_new_tokens, query.between, query.looks)
        candidates = Candidates(math.floor(self.over_selection * budget + 1e-9), self.tau)
        certainties: list[float] = []
        for group in self.visits(interleaved_groups(frames, self.group_frames)):
            seen = inspection.of(video_tokens, group, seconds)
            candidates.add(seen)
            certainties.append(seen.certainty)
            if self.enough(certainties):
                break
        return self._thinned(candidates.selected(), seconds or range(frames), budget)

    def visits(self, groups: list[list[int]]) -> Iterable[list[int]]:
        """The groups in the order they are run: as they are."""
        return groups

    def enough(self, certainties: Sequence[float]) -> bool:
        """Whether to stop after the groups seen, given their certainties: never."""
        return False

    def _thinned(self, selected: InspectedGroup, seconds: Sequence[float], budget: int) -> CompressedVideo:
        """The over-selected tokens without the redundant: at most `budget`, in temporal and raster order."""
        columns = self.backbone.grid[1]
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


def check_holds_a_frame(budget: int, backbone: Backbone) -> None:
    """Raise `ValueError` for a budget below one frame's tokens: an answer from scraps would pass for one from the video."""
    least = backbone.tokens_per_frame
    if budget < least:
        raise ValueError(
            f"a budget of {budget} tokens cannot hold one frame of {least}: the smallest workable is {least}"
        )
