"""All benchmarks by name, and what loads each."""

from collections.abc import Callable
from pathlib import Path

from videorouter.eval.benchmarks import egoschema, longvideobench, lvbench, miniature, mlvu, video_mme
from videorouter.eval.benchmarks.items import Benchmark, Item
from videorouter.registry import Registry

PUBLIC = {
    "video_mme": video_mme,
    "mlvu": mlvu,
    "longvideobench": longvideobench,
    "lvbench": lvbench,
    "egoschema": egoschema,
}
Loader = Callable[[Path, str, str | None], Benchmark]
"""Folder, split and the `datasets` id of the rows (or None) -> the split's items, and the rows that make none."""

_OWN: dict[str, Loader] = {"miniature": miniature.load, **{name: module.load for name, module in PUBLIC.items()}}
LOADERS = Registry("videorouter.benchmarks", "benchmark", _OWN)
"""Ours, and those of installed packages in the entry point group `videorouter.benchmarks`."""


def load_benchmark(
    benchmark: str, folder: Path, split: str, limit: int | None = None, rows: str | None = None
) -> Benchmark:
    """The items of one split, and the rows that make none; `limit` keeps that many items in file order.

    `rows` names a `datasets` id (or a local data set) to read the questions from; videos and subtitles always lie in `folder`.
    Raises `ValueError` for an unknown benchmark, a split without items, or a folder of another layout.
    """
    loaded = LOADERS.named(benchmark)(folder, split, rows)
    if not loaded.items:
        wrong = f"; {len(loaded.wrong)} rows are wrong, the first: {loaded.wrong[0].reason}" if loaded.wrong else ""
        raise ValueError(f"no items in split {split!r} of {folder}{wrong}")
    return Benchmark(loaded.items[:limit], loaded.wrong)


def load_items(benchmark: str, folder: Path, split: str, limit: int | None = None) -> list[Item]:
    """The items of `load_benchmark`, without the rows left out."""
    return load_benchmark(benchmark, folder, split, limit).items
