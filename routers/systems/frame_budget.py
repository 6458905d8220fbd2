"""Fewer frames at full resolution: what most users do today (reference row, paper table 1)."""

from dataclasses import dataclass

from videorouter.routers.systems.uniform_pooling import UniformPooling


@dataclass(frozen=True)
class FrameBudget(UniformPooling):
    """A uniform subset of `budget // M` frames, none of them pooled."""

    scale: int = 1
    name: str = "frame_budget"
