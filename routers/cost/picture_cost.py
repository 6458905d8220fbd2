"""What one picture costs a model that is sent pictures, and how large a picture some tokens pay for (ours).

What is counted are the tokens that stand for the picture itself. The one or two that some families write around it, and any text
between pictures, are not.
"""

from abc import ABC, abstractmethod
from functools import lru_cache
from typing import Final

SHAPE_KEPT: Final = 0.02
"""A smaller picture has the shape of the larger one where its aspect ratio is this near: sides are whole pixels."""


class PictureCost(ABC):
    """How one family, or one vendor, charges a picture. Implementations are hashable: what they say of a shape is remembered.

    `detail` is what a request must say beside the picture for this charge (OpenAI's `image_url.detail`), None where nothing.
    """

    detail: str | None = None

    def tokens(self, height: int, width: int) -> int:
        """What a picture of that size in pixels is charged. Raises `ValueError` for one that the family refuses."""
        if min(height, width) < 1:
            raise ValueError(f"a picture of {width}x{height} pixels: give 1 or more pixels each way")
        return self._charged(height, width)

    def size_for(self, tokens: int, height: int, width: int) -> tuple[int, int] | None:
        """(height, width) of the largest picture of the shape `height` x `width`, and no larger, that costs at most `tokens`.

        None where there is none: fixed tiles have a least cost. Raises as `tokens`.
        """
        return next((size for cost, size in _steps(self, height, width) if cost <= tokens), None)

    def frame_size(self, tokens: int, height: int, width: int) -> tuple[int, int] | None:
        """`size_for` of a frame of a video: in the shape in which the family is shown frames, where that is not their own."""
        return self.size_for(tokens, height, width)

    def least_frame(self, height: int, width: int) -> int:
        """The fewest tokens for which a frame of that size can be shown. Raises as `tokens`."""
        return _steps(self, height, width)[-1][0]

    @abstractmethod
    def _charged(self, height: int, width: int) -> int:
        """`tokens` of a picture that has pixels."""
        ...


@lru_cache(maxsize=256)
def _steps(cost: PictureCost, height: int, width: int) -> tuple[tuple[int, tuple[int, int]], ...]:
    """(tokens, size) from the full picture down, one for every size that is cheaper than all larger ones."""
    steps = [(cost.tokens(height, width), (height, width))]
    longer = max(height, width)
    for side in range(longer - 1, 0, -1):
        size = max(1, round(height * side / longer)), max(1, round(width * side / longer))
        if abs(size[0] * width - height * size[1]) > SHAPE_KEPT * height * size[1]:
            continue
        try:
            tokens = cost.tokens(*size)
        except ValueError:  # rounding made the narrowest allowed shape narrower
            continue
        if tokens < steps[-1][0]:
            steps.append((tokens, size))
    return tuple(steps)
