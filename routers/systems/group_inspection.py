"""One model run over a group of frames: how much each token is attended, and how certain the answer is (AdaptToken)."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from videorouter.routers.backbones.base import Backbone
from videorouter.routers.backbones.between import texts_around
from videorouter.routers.systems.adapttoken_groups import certainty
from videorouter.routers.systems.base import CompressedVideo
from videorouter.routers.systems.looks import Looks, looked
from videorouter.routers.token_source import TokenSource


@dataclass(frozen=True)
class InspectedGroup:
    """A group's n tokens in temporal and raster order: `tokens` `[n, channels]`; on the CPU `frames`, `cells` and `scores` `[n]`.

    `certainty` is at most 0, in nats.
    """

    tokens: Tensor
    frames: Tensor
    cells: Tensor
    scores: Tensor
    certainty: float


@dataclass(frozen=True)
class Inspection:
    """How groups are run: after the prompt `text`, with attention read at `layer` (0-based) and a response this long.

    `between` is what is written between all T frames, as in `Query`; `looks` are the question's, where it has some.
    """

    backbone: Backbone
    text: str
    layer: int
    max_new_tokens: int
    between: Sequence[str] | None = None
    looks: Looks | None = None

    def of(
        self, video_tokens: TokenSource, frames: Sequence[int], seconds: Sequence[float] | None = None
    ) -> InspectedGroup:
        """Run the model on all tokens of `frames`, as on a video of these frames alone; `seconds` `[T]` are the whole video's."""
        whole = whole_video(video_tokens[list(frames)])
        shown = None if seconds is None else [seconds[frame] for frame in frames]
        written = None if self.between is None else texts_around(self.between, frames, len(video_tokens))
        key = ("inspection", self.text, written and tuple(written), self.layer, self.max_new_tokens, tuple(frames))
        scores, certain = looked(self.looks, key, lambda: self._run(whole, shown, written))
        return InspectedGroup(
            whole.embeddings, torch.tensor(list(frames))[whole.frames.cpu()], whole.cells.cpu(), scores, certain
        )

    def _run(
        self, whole: CompressedVideo, shown: Sequence[float] | None, written: Sequence[str] | None
    ) -> tuple[Tensor, float]:
        """Attention to each token, on the CPU, and the certainty of the response."""
        prompt = self.backbone.embed_prompt(whole, self.text, shown, written)
        seen = self.backbone.inspect(prompt, self.layer, self.max_new_tokens)
        assert len(seen.attention) == whole.tokens, f"{len(seen.attention)} scores for {whole.tokens} visual tokens"
        return seen.attention.float().cpu(), certainty(seen.entropies.tolist())


def whole_video(tokens: Tensor) -> CompressedVideo:
    """All tokens of `[T, M, channels]`."""
    frames, per_frame = tokens.shape[:2]
    numbers = torch.arange(frames, device=tokens.device)
    return CompressedVideo(
        embeddings=tokens.flatten(0, 1),
        frames=numbers.repeat_interleave(per_frame),
        cells=torch.arange(per_frame, device=tokens.device).repeat(frames),
        total_frames=frames,
    )
