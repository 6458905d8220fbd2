"""What the Image Router's layers made of a video's frames: the work that no question changes, kept for the next one (ours)."""

import copy
from dataclasses import dataclass, field

import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer


@dataclass(frozen=True, eq=False)
class ChunkStates:
    """Frames that were read in one pass: `means` `[t, D]` over their image states, and the `cache` that questions continue from."""

    means: Tensor
    cache: DynamicCache = field(repr=False)

    @property
    def nbytes(self) -> int:
        """Bytes of means, keys and values."""
        return self.means.nbytes + sum(tensor.nbytes for tensor in _keys_and_values(self.cache))

    def to(self, device: torch.device) -> "ChunkStates":
        """The same, kept on `device`; a question brings it back to where it was computed."""
        moved = copy.copy(self.cache)
        moved.layers = [copy.copy(layer) for layer in self.cache.layers]
        for layer in _layers(moved):
            if layer.keys is not None and layer.values is not None:  # `layer.device` still says where they belong
                layer.keys, layer.values = layer.keys.to(device), layer.values.to(device)
        return ChunkStates(self.means.to(device), moved)

    def split(self, at_once: int) -> "list[ChunkStates]":
        """The same frames, at most `at_once` together, as views of these states."""
        if len(self.means) <= at_once:
            return [self]
        return [self._part(begin, begin + at_once) for begin in range(0, len(self.means), at_once)]

    def _part(self, begin: int, end: int) -> "ChunkStates":
        part = copy.copy(self.cache)
        part.layers = [copy.copy(layer) for layer in self.cache.layers]
        for layer in _layers(part):
            if layer.keys is not None and layer.values is not None:
                layer.keys, layer.values = layer.keys[begin:end], layer.values[begin:end]
        return ChunkStates(self.means[begin:end], part)


@dataclass(frozen=True, eq=False)
class FrameStates:
    """All T frames of a video in chunks. Of one router's weights as they were, and of tokens pooled in one way.

    They are only ever read, a question that fails leaves them as they were, and threads may share them. Used on the device on which
    they were computed: a model that is moved needs new ones.
    """

    chunks: tuple[ChunkStates, ...]

    @property
    def frames(self) -> int:
        """T."""
        return sum(len(chunk.means) for chunk in self.chunks)

    @property
    def tokens_per_frame(self) -> int:
        """M, as the router reads them."""
        return self.chunks[0].cache.get_seq_length()

    @property
    def nbytes(self) -> int:
        """Bytes that they hold, wherever that is."""
        return sum(chunk.nbytes for chunk in self.chunks)

    def to(self, device: torch.device) -> "FrameStates":
        """The same, kept on `device`, say in main memory: every question brings it to the model chunk by chunk."""
        return FrameStates(tuple(chunk.to(device) for chunk in self.chunks))

    def check(self, video_tokens: Tensor) -> None:
        """Raises `ValueError` where `[T, M, D]` cannot be what they were made of."""
        if (self.frames, self.tokens_per_frame) != tuple(video_tokens.shape[:2]):
            raise ValueError(
                f"states of {self.frames} frames of {self.tokens_per_frame} tokens cannot serve a video of "
                f"{video_tokens.shape[0]} frames of {video_tokens.shape[1]}: give what `frame_states` made of these tokens"
            )


def _keys_and_values(cache: DynamicCache) -> list[Tensor]:
    return [tensor for layer in _layers(cache) for tensor in (layer.keys, layer.values) if tensor is not None]


def _layers(cache: DynamicCache) -> list[DynamicLayer]:
    """All of them, for `whole_cache` has no others."""
    return [layer for layer in cache.layers if isinstance(layer, DynamicLayer)]
