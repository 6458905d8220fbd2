"""What answers cost: requests, images and tokens."""

from dataclasses import astuple, dataclass
from typing import Self


@dataclass(frozen=True)
class Usage:
    """What some answers cost; `estimated` of the requests came without token counts and were estimated from their length."""

    requests: int = 0
    images: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    estimated: int = 0

    def __add__(self, other: Self) -> "Usage":
        return Usage(*(mine + theirs for mine, theirs in zip(astuple(self), astuple(other), strict=True)))

    def __neg__(self) -> "Usage":
        return Usage(*(-mine for mine in astuple(self)))

    def __str__(self) -> str:
        guessed = f" ({self.estimated} requests estimated)" if self.estimated else ""
        return (
            f"{self.requests} requests, {self.images} images, "
            f"{self.tokens_in} tokens in, {self.tokens_out} tokens out{guessed}"
        )
