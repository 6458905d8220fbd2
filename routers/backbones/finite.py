"""NaN is never an answer: what leaves a model is looked at once, and numbers that are none end the question (ours).

float16 overflows in the layers of some models: an infinite number first, NaN behind it. Every comparison with NaN is false, so
that argmax, top-k and softmax would go on with it and make an answer of it.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

REMEDY = "load the model in float32, or in bfloat16 where it was trained in that, with --dtype"


class NotFiniteError(ValueError):
    """Numbers that are NaN or infinite where a model was to give scores or features.

    `frame` is the number of the first frame that holds some, among those that the stage was given; None where it saw no frames.
    """

    def __init__(self, stage: str, dtype: torch.dtype, of: str = "", frame: int | None = None) -> None:
        self.stage, self.dtype, self.of, self.frame = stage, dtype, of, frame
        where = stage if frame is None else f"{stage} of frame {frame}"
        whose = f"{of}: " if of else ""
        name = str(dtype).removeprefix("torch.")
        super().__init__(f"{whose}{where} in {name} is not a number (NaN or infinite): {REMEDY}")

    def renumbered(self, frames: Sequence[int]) -> "NotFiniteError":
        """The same error where the stage was given the frames of these numbers."""
        return NotFiniteError(self.stage, self.dtype, self.of, None if self.frame is None else frames[self.frame])


def finite(values: Tensor, stage: str, of: str = "", dtype: torch.dtype | None = None) -> Tensor:
    """`values`, of any shape, as they are. Raises `NotFiniteError` naming the `stage` and, where given, the model `of`.

    `dtype` is the model's, where `values` have another by now.
    """
    if not bool(torch.isfinite(values).all()):
        raise NotFiniteError(stage, dtype or values.dtype, of)
    return values


def finite_frames(
    tokens: Tensor, frames: Sequence[int] | None = None, stage: str = "the visual tokens", of: str = "", first: int = 0
) -> Tensor:
    """`tokens` `[t, ...]` of the frames numbered `frames`, or `first`, `first` + 1, ...; as they are.

    Raises `NotFiniteError` naming the first frame that holds numbers which are none.
    """
    there = torch.isfinite(tokens).flatten(1).all(1)
    if not bool(there.all()):
        place = int((~there).nonzero()[0])
        raise NotFiniteError(stage, tokens.dtype, of, place + first if frames is None else frames[place])
    return tokens
