"""Where one video's frame states are put after its first question and found by the next (ours)."""

from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from videorouter.routers.backbones.shadow import ShadowStack
from videorouter.routers.routing.frame_states import FrameStates
from videorouter.routers.routing.routers import ImageRouter


class RememberedStates:
    """States of the frames of one video, by the router that made them and the scale at which it reads.

    Answers are the same as without; the seconds of a second question are not, so latency is measured without. Threads that ask at
    once for states which are not there yet each make them, the last are kept, and both are right.
    """

    def __init__(self, most_bytes: int | None = None, device: torch.device | None = None) -> None:
        """`most_bytes` for all of them together: what would go beyond is not kept, and is computed for every question.

        They are kept on `device`, by default on the one that computes them. Raises `ValueError` for fewer than 0 bytes.
        """
        if most_bytes is not None and most_bytes < 0:
            raise ValueError(f"most_bytes is {most_bytes}: give 0 or more, or nothing for no limit")
        self.most_bytes = most_bytes
        self.device = device
        self._kept: WeakKeyDictionary[ShadowStack, dict[int, FrameStates]] = WeakKeyDictionary()

    @property
    def nbytes(self) -> int:
        """Bytes of all that is remembered."""
        return sum(states.nbytes for by_scale in list(self._kept.values()) for states in list(by_scale.values()))

    def of(self, image: ImageRouter, video_tokens: Tensor, scale: int) -> FrameStates | None:
        """States of the video's tokens `[T, M, D]`, pooled by `scale`: those remembered, or made now and kept.

        None where they would not fit, and while the router is in training: its weights change between two questions.
        """
        if image.training:
            return None
        by_scale = self._kept.setdefault(image.shadow, {})
        if (states := by_scale.get(scale)) is None and self._holds(image.bytes_of_states(video_tokens)):
            states = by_scale[scale] = image.frame_states(video_tokens, device=self.device)
        return states

    def _holds(self, more: int) -> bool:
        return self.most_bytes is None or self.nbytes + more <= self.most_bytes
