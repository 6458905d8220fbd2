"""Compression systems: one file each, one registry."""

from routers.systems.base import CompressedVideo, Query, System, Truth
from routers.systems.dense import Dense
from routers.systems.frame_budget import FrameBudget
from routers.systems.oracle import Oracle
from routers.systems.uniform_pooling import UniformPooling
from routers.systems.videorouter import RoutedCompression, Scales

__all__ = ["NAMES", "CompressedVideo", "Query", "Scales", "System", "Truth", "build_system"]

NAMES = ("dense", "frame_budget", "uniform_pooling", "videorouter", "oracle")


def build_system(name: str, router: RoutedCompression, *, scale: int | None = None) -> System:
    """The system `name` for the backbone and options of `router`; `scale` is `uniform_pooling`'s own.

    Raises `ValueError` naming the systems there are.
    """
    grid = router.backbone.grid
    match name:
        case "dense":
            return Dense(grid)
        case "frame_budget":
            return FrameBudget(grid)
        case "uniform_pooling":
            return UniformPooling(grid, scale or router.scales.global_scale)
        case "videorouter":
            return router
        case "oracle":
            return Oracle(grid, router.scales)
    raise ValueError(f"unknown system {name!r}: there are {', '.join(NAMES)}")
