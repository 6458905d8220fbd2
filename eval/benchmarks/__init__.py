"""Benchmarks: one file each, from their own layout on disk to `Item`s."""

from pathlib import Path

from eval.benchmarks import miniature
from eval.items import Item

LOADERS = {"miniature": miniature.load}


def load_items(benchmark: str, folder: Path, split: str, limit: int | None = None) -> list[Item]:
    """The items of one split; `limit` keeps that many, taking whole videos in turn so that all kinds stay represented.

    Raises `ValueError` for an unknown benchmark, a split without items, or a folder of another layout.
    """
    if benchmark not in LOADERS:
        raise ValueError(f"unknown benchmark {benchmark!r}: there are {', '.join(LOADERS)}")
    items = LOADERS[benchmark](folder, split)
    if not items:
        raise ValueError(f"no items in split {split!r} of {folder}")
    return items[:limit]
