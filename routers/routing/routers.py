"""The two routers: heads over states of the shadow stack, with the features they read exposed for training (paper 3.2)."""

from collections.abc import Callable, Sequence
from typing import Final, Self

import torch
from torch import Tensor, nn

from videorouter.routers.backbones.shadow import ShadowStack
from videorouter.routers.routing.frame_states import ChunkStates, FrameStates

SINK_RATIO = 10.0


def mean_without_sinks(states: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean over tokens, `[..., L, D]` -> `[..., D]`, leaving out attention sinks (ours).

    Large language models give a few tokens norms hundreds of times the others'; one of them would drown the mean.
    A token is a sink when its norm exceeds `SINK_RATIO` times the median of its sequence. `mask` `[..., L]` marks real tokens.
    """
    norms = states.norm(dim=-1)
    real = torch.ones_like(norms, dtype=torch.bool) if mask is None else mask
    median = norms.masked_fill(~real, torch.nan).nanmedian(dim=-1, keepdim=True).values
    weights = (real & (norms <= SINK_RATIO * median)).to(states.dtype).unsqueeze(-1)
    return (states * weights).sum(dim=-2) / weights.sum(dim=-2).clamp_min(1)


class Standardise(nn.Module):
    """Per-feature (x - mean) / deviation with moments gathered on training data and stored in the export (ours).

    Moments stay float32 when the module around them is given another dtype: they are data, not weights.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mean: Tensor
        self.deviation: Tensor
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("deviation", torch.ones(width))

    def fit(self, count: Tensor, total: Tensor, squares: Tensor) -> None:
        """Set the moments from sums over `count` rows; `total` and `squares` `[width]`, float64."""
        mean = total / count
        variance = (squares / count - mean**2).clamp_min(1e-12)
        self.mean.copy_(mean)
        self.deviation.copy_(variance.sqrt())

    def forward(self, features: Tensor) -> Tensor:
        """float32, whatever the features' dtype."""
        return (features - self.mean) / self.deviation

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        device = fn(torch.empty(0, device=self.mean.device)).device
        self.mean, self.deviation = self.mean.to(device), self.deviation.to(device)
        return self


class SemanticHead(nn.Module):
    """g_s: standardise -> Linear(D, hidden) -> GELU -> Linear(hidden, 2); class 0 `global`, class 1 `fragment`."""

    def __init__(self, width: int, hidden: int = 1024) -> None:
        super().__init__()
        self.standardise = Standardise(width)
        self.layers = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, 2))

    def forward(self, features: Tensor) -> Tensor:
        """`[Q, D]` pooled question states -> `[Q, 2]` logits."""
        return self.layers(self.standardise(features).to(self.layers[0].weight.dtype))


class ImageHead(nn.Module):
    """g_v: standardise -> Linear(2D, hidden) -> GELU -> Linear(hidden, 1) on image and question means side by side."""

    def __init__(self, width: int, hidden: int = 1024) -> None:
        super().__init__()
        self.standardise = Standardise(2 * width)
        self.layers = nn.Sequential(nn.Linear(2 * width, hidden), nn.GELU(), nn.Linear(hidden, 1))

    def forward(self, features: Tensor) -> Tensor:
        """`[..., 2D]` pooled frame-question states -> `[...]` logits."""
        return self.layers(self.standardise(features).to(self.layers[0].weight.dtype)).squeeze(-1)


TOKENS_AT_ONCE: Final = 4096
"""Tokens fed in one pass of the shadow stack (16 frames of 256, or a question after as many frames as that allows), so that routing
never holds more than a prefill does."""


class SemanticRouter(nn.Module):
    """Reads the question alone and gives the probability of each policy, in the order of `POLICIES`."""

    def __init__(self, shadow: ShadowStack, width: int, hidden: int = 1024) -> None:
        super().__init__()
        self.shadow = shadow
        self.head = SemanticHead(width, hidden)

    def features(self, questions: Sequence[Tensor]) -> Tensor:
        """Mean question states: embedded questions, each `[L_i, D]` -> `[Q, D]`."""
        padded = nn.utils.rnn.pad_sequence(list(questions), batch_first=True)
        lengths = torch.tensor([len(question) for question in questions], device=padded.device)
        mask = torch.arange(padded.shape[1], device=padded.device) < lengths[:, None]
        return mean_without_sinks(self.shadow.text(padded), mask).float()

    def forward(self, questions: Sequence[Tensor]) -> Tensor:
        """Embedded questions, each `[L_i, D]` -> probabilities `[Q, 2]`."""
        return self.head(self.features(questions)).softmax(dim=-1)


class ImageRouter(nn.Module):
    """Reads every frame together with the question and gives the probability that the frame is evidence."""

    def __init__(self, shadow: ShadowStack, width: int, hidden: int = 1024) -> None:
        super().__init__()
        self.shadow = shadow
        self.head = ImageHead(width, hidden)

    def features(
        self,
        video_tokens: Tensor,
        questions: Sequence[Tensor],
        frames_at_once: int | None = None,
        states: FrameStates | None = None,
    ) -> Tensor:
        """Means over image states and over question states: `[T, M, D]` and Q questions `[L_i, D]` -> `[Q, T, 2D]`.

        Memory is bounded by `frames_at_once` frames, by as many as have `TOKENS_AT_ONCE` tokens where it is None, and by as many
        copies of a question. Image states are shared by all questions of the video; with `states`, what `frame_states` made of
        these tokens, frames are not read again and the result is the same. Raises `ValueError` for `states` of another number of
        frames or tokens.
        """
        if states is None:
            at_once = _frames_at_once(video_tokens, frames_at_once)
            parts = [self._asked(self._read(frames), questions) for frames in video_tokens.split(at_once)]
        else:
            states.check(video_tokens)
            parts = [self._asked(chunk, questions) for chunk in states.chunks]
        return torch.cat(parts, dim=1).float()

    def forward(self, video_tokens: Tensor, questions: Sequence[Tensor], states: FrameStates | None = None) -> Tensor:
        """`[T, M, D]` and Q embedded questions -> frame relevance `[Q, T]` in 0..1. `states` as in `features`."""
        known = () if states is None else (None, states)
        return self.head(self.features(video_tokens, questions, *known)).sigmoid()

    @torch.no_grad()
    def frame_states(
        self, video_tokens: Tensor, frames_at_once: int | None = None, device: torch.device | None = None
    ) -> FrameStates:
        """What questions about `[T, M, D]` continue from, kept on `device` chunk by chunk; None is where it is computed.

        They are those of the weights as they are now, and carry no gradient.
        """
        chunks = []
        for frames in video_tokens.split(_frames_at_once(video_tokens, frames_at_once)):
            chunk = self._read(frames)
            chunks.append(chunk if device is None else chunk.to(device))
        return FrameStates(tuple(chunks))

    def bytes_of_states(self, video_tokens: Tensor) -> int:
        """`nbytes` of the `frame_states` of `[T, M, D]`, before they are made."""
        frames, per_frame, width = video_tokens.shape
        return frames * (per_frame * self.shadow.bytes_a_token + width * self.shadow.dtype.itemsize)

    def _read(self, frames: Tensor) -> ChunkStates:
        states, cache = self.shadow.frames(frames)
        return ChunkStates(mean_without_sinks(states), cache)

    def _asked(self, chunk: ChunkStates, questions: Sequence[Tensor]) -> Tensor:
        rows = []
        for question in questions:
            at_once = max(1, TOKENS_AT_ONCE // max(1, len(question)))
            parts = [
                mean_without_sinks(self.shadow.question_after_frames(question, part.cache, len(part.means)))
                for part in chunk.split(at_once)
            ]
            asked = torch.cat(parts)
            rows.append(torch.cat([chunk.means.to(asked.device), asked], dim=-1))
        return torch.stack(rows)


def _frames_at_once(video_tokens: Tensor, asked: int | None) -> int:
    return asked or max(1, TOKENS_AT_ONCE // video_tokens.shape[1])
