"""The two routers: a head over the shadow stack, with the features they read exposed for training (paper section 3.2)."""

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor, nn

from videorouter.routers.heads import ImageHead, SemanticHead, mean_without_sinks
from videorouter.routers.shadow import ShadowStack

TOKENS_AT_ONCE: Final = 4096
"""Image tokens in one pass of the shadow stack (16 frames of 256), so that routing never holds more than a prefill does."""


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

    def features(self, video_tokens: Tensor, questions: Sequence[Tensor], frames_at_once: int | None = None) -> Tensor:
        """Means over image states and over question states: `[T, M, D]` and Q questions `[L_i, D]` -> `[Q, T, 2D]`.

        Memory is bounded by `frames_at_once` frames, by as many as have `TOKENS_AT_ONCE` tokens where it is None. Image
        states are shared by all questions of the video.
        """
        frames_at_once = frames_at_once or max(1, TOKENS_AT_ONCE // video_tokens.shape[1])
        chunks = [self._chunk(chunk, questions) for chunk in video_tokens.split(frames_at_once)]
        return torch.cat(chunks, dim=1).float()

    def forward(self, video_tokens: Tensor, questions: Sequence[Tensor]) -> Tensor:
        """`[T, M, D]` and Q embedded questions -> frame relevance `[Q, T]` in 0..1."""
        return self.head(self.features(video_tokens, questions)).sigmoid()

    def _chunk(self, video_tokens: Tensor, questions: Sequence[Tensor]) -> Tensor:
        image_states, cache = self.shadow.frames(video_tokens)
        image = mean_without_sinks(image_states)
        rows = [
            torch.cat(
                [image, mean_without_sinks(self.shadow.question_after_frames(question, cache, len(video_tokens)))],
                dim=-1,
            )
            for question in questions
        ]
        return torch.stack(rows)
