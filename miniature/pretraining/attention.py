"""Attention while language is learned: many lessons continue from the same frames, and some heads' weights are recorded."""

from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AttentionInterface

OVER_FRAMES: Final = "lessons_over_frames"
"""Name under which transformers finds `_attend`."""


class AttentionRecord:
    """What one pass attended to, for those of its layers that are recorded, and in the pass over the frames its keys and values.

    Args:
        recorded: numbers of the layers
        frames: the pass over the V videos that all of a video's lessons continue from; None in that pass itself
    """

    def __init__(self, recorded: set[int], frames: "AttentionRecord | None" = None) -> None:
        self.recorded, self.frames = recorded, frames
        self.queries: dict[int, list[tuple[Tensor, ...]]] = {}
        self.keys: dict[int, list[tuple[Tensor, ...]]] = {}
        self.shown: dict[int, tuple[Tensor, Tensor]] = {}
        """Keys and values of each layer, `[V, H, P, d]`."""

    def record(self, layer: int, query: Tensor, key: Tensor) -> None:
        """Keep what a layer matches, `[V, H, P, d]` or `[V * Q, H, L, d]`, as `[P, d]` or `[Q, L, d]` of each video and head."""
        if layer not in self.recorded:
            return
        if self.frames is not None:
            videos = len(self.frames.shown[layer][0])
            query, key = (rows.unflatten(0, (videos, -1)).transpose(1, 2) for rows in (query, key))
        self.queries[layer] = [video.unbind(0) for video in query.unbind(0)]
        self.keys[layer] = [video.unbind(0) for video in key.unbind(0)]

    def weights(self, layer: int, head: int, video: int, positions: Tensor, lessons: Tensor | None = None) -> Tensor:
        """Weights of one head: `[n, P]` in the pass over the frames, `[n, P + L]` over frames and lesson in that of lessons.

        `positions` `[n]` are the readers', in the video's frames or in `lessons` `[n]` of it.
        """
        queries, keys = self.queries[layer][video][head], self.keys[layer][video][head]
        if lessons is None or self.frames is None:
            queries = queries[positions].float()
            scores = queries @ keys.float().T
        else:
            queries = queries[lessons, positions].float()
            scores = torch.einsum("nd,nld->nl", queries, keys.float()[lessons])
        scores = scores.masked_fill(torch.arange(scores.shape[1]) > positions[:, None], -torch.inf)
        if self.frames is not None:
            scores = torch.cat([queries @ self.frames.shown[layer][0][video, head].float().T, scores], dim=1)
        return functional.softmax(scores * queries.shape[1] ** -0.5, dim=1)


def _attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float,
    attended: AttentionRecord,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Causal attention of rows `[B, H, L, d]` that end where they end: what is padded on the right is nobody's key."""
    layer = int(module.layer_idx)  # type: ignore[arg-type]
    attended.record(layer, query, key)
    if attended.frames is None:
        attended.shown[layer] = key, value
        found = functional.scaled_dot_product_attention(query, key, value, is_causal=True, scale=scaling)
        return found.transpose(1, 2).contiguous(), None
    return _continue(query * scaling, key, value, *attended.frames.shown[layer]), None


def _continue(query: Tensor, key: Tensor, value: Tensor, shown_keys: Tensor, shown_values: Tensor) -> Tensor:
    """`[V * Q, H, L, d]` lessons over `[V, H, P, d]` frames: the frames are read once for all Q lessons; `[V * Q, L, H, d]`."""
    videos, heads, before, _ = shown_keys.shape
    length, size = query.shape[2:]
    query, key, value = (x.unflatten(0, (videos, -1)).transpose(1, 2) for x in (query, key, value))  # [V, H, Q, L, d]
    lessons = query.shape[2]
    far = query.reshape(videos, heads, lessons * length, size) @ shown_keys.transpose(2, 3)
    later = torch.ones(length, length, dtype=torch.bool).triu(1)
    near = (query @ key.transpose(3, 4)).masked_fill(later, -torch.inf)
    scores = torch.cat([far, near.flatten(2, 3)], dim=3)
    with torch.autocast(scores.device.type, enabled=False):
        weights = functional.softmax(scores, dim=3)
    to_far, to_near = weights.split([before, length], dim=3)
    found = (to_far @ shown_values).unflatten(2, (lessons, length)) + to_near.unflatten(2, (lessons, length)) @ value
    return found.permute(0, 2, 3, 1, 4).flatten(0, 1).contiguous()


AttentionInterface.register(OVER_FRAMES, _attend)
