"""`eval run`: systems at equal tokens on one benchmark, references apart, router quality where the truth is known."""

import json
import logging
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from rich.console import Console
from rich.progress import Progress

from videorouter.eval.benchmarks.items import Item
from videorouter.eval.benchmarks.registry import load_benchmark, load_items
from videorouter.eval.config import EvalConfig, Point
from videorouter.eval.plot import accuracy_against_tokens
from videorouter.eval.run_folder import (
    FAILURES,
    ITEMS,
    PREDICTIONS,
    VIDEOS,
    Cell,
    Failure,
    Prediction,
    item_row,
    write_rows,
)
from videorouter.eval.running.comparison import compare
from videorouter.eval.running.controls import check_name
from videorouter.eval.running.distribution import Ranks, packs
from videorouter.eval.running.prompts import Wording, usual_wording
from videorouter.eval.running.router_quality import RouterQuality, measure
from videorouter.eval.running.runner import Runner
from videorouter.eval.running.unfinished_run import Journal, begin, made_manifest
from videorouter.eval.statistics import Summary, check_equal, summarise
from videorouter.routers.answering.video_router import VideoRouter
from videorouter.routers.backbones.loading import usual_device
from videorouter.routers.backbones.loading_options import Loading, hub_access
from videorouter.routers.backbones.protocol import Engine
from videorouter.routers.checkpoints.base_identity import base_identity
from videorouter.routers.systems.spec import ROUTED
from videorouter.run_log import log_in

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CellResult:
    """What the systems came to at one frame count and cap; `apart` names those that are not compared with the others."""

    cell: Cell
    summaries: list[Summary]
    apart: list[str]


@dataclass(frozen=True)
class Results:
    """A finished comparison: a result a cell, how good the routers are where the truth is known, and what is said of the silent."""

    cells: list[CellResult]
    routers: list[RouterQuality]
    silent: list[str]


def run(config: EvalConfig) -> Results | None:
    """Run the comparison and write it to `config.out`; None from ranks other than the first.

    Raises `ValueError` for unknown names, an existing output folder, or budgets that cannot be made equal.
    """
    if (config.out / PREDICTIONS).exists() and not config.retry_failed:
        raise ValueError(
            f"{config.out} already holds predictions: choose another --out, runs are never mixed; --retry-failed asks again what "
            "failed there"
        )
    for name in config.systems:
        check_name(name)
    if config.device_map is not None and "LOCAL_RANK" in os.environ:
        raise ValueError(
            "device_map spreads one model over all GPUs, and torchrun gives each process one: take one of them"
        )
    device = Ranks.own_device(config.device or usual_device())
    engine = _engine_of(config)
    router = _router_of(config, device)
    benchmark = load_benchmark(config.benchmark, config.data, config.split, config.limit)
    validation = []
    if config.validation_split is not None:
        validation = load_items(config.benchmark, config.data, config.validation_split, config.validation_limit)
    ranks = Ranks.joined()
    wording = usual_wording(config.benchmark, config.subtitles)
    if ranks.first:
        begin(config.out, made_manifest(config, router, wording.id, len(benchmark.wrong)))
        if (config.out / PREDICTIONS).exists():
            (config.out / PREDICTIONS).rename(config.out / "answered-0.jsonl")
    with log_in(config.out, ranks.rank):
        _log.info(
            "%s: %d questions, %s on %s", config.benchmark, len(benchmark.items), ", ".join(config.systems), device
        )
        results = _compare(config, router, ranks, wording, benchmark.items, validation, engine)
        for found in results.cells if results else ():
            for summary in found.summaries:
                _log.info("%s: %s %.3f, %.1f tokens", found.cell, summary.system, summary.accuracy, summary.tokens_mean)
    return results


def _compare(
    config: EvalConfig,
    router: VideoRouter,
    ranks: Ranks,
    wording: Wording,
    items: Sequence[Item],
    validation: Sequence[Item],
    engine: Engine | None,
) -> Results | None:
    """All cells, in the begun folder; None from ranks other than the first."""
    journal = Journal.opened(config.out, ranks)
    runners: dict[int, Runner] = {}
    made: dict[Cell, dict[str, list[Prediction]]] = {}
    with Progress(console=Console(markup=False, stderr=True), transient=True, disable=not ranks.first) as progress:
        for point in config.points or [Point(config.budget or router.config.budget)]:
            placed = _router_at(router, config, point)
            frames = placed.config.frames
            if frames not in runners:
                runners[frames] = Runner(
                    placed,
                    config.scoring,
                    config.remembered_videos,
                    share_passes=config.share_passes,
                    answers_at_once=config.answers_at_once,
                    benchmark=config.benchmark,
                    model=config.model_name,
                    wording=wording,
                    journal=journal,
                    tolerant=True,
                    ranks=ranks,
                    engine=engine,
                )
            runners[frames].router = placed
            cell = Cell(config.benchmark, frames, point.budget)
            made[cell] = compare(
                runners[frames],
                items,
                validation,
                config.systems,
                point.budget,
                progress,
                config.encoder,
                mean_tokens=None if router.has_routers else point.budget,
            )
        qualities = []
        for name, items_ in ((config.validation_split, validation), (config.split, items)):
            wanted = config.router_quality and router.has_routers and all(item.truth for item in items_)
            if name and ranks.first and wanted:
                try:
                    qualities.append(measure(placed, items_, name, progress))
                except ValueError as error:  # too few questions for that; the answers stand all the same
                    _log.warning("the routers are not measured: %s", error)
    _write_results(config, list(runners.values()), items, made)
    if not ranks.first:
        ranks.leave()
        return None
    journal.close()
    failures = [failure for runner in runners.values() for failure in runner.failures]
    silent = [
        _silent(config, cell, name, failures)
        for cell, own in made.items()
        for name in config.systems
        if not own.get(name)
    ]
    cells = [_summarised(config, cell, found) for cell, found in made.items() if any(found.values())]
    results = Results(cells, qualities, silent)
    for result in results.cells:
        name = "accuracy_against_tokens" + (f"-{result.cell.frames}-{result.cell.cap}" if len(made) > 1 else "")
        accuracy_against_tokens(result.summaries, result.apart, config.out / f"{name}.png")
    rows = [
        {"frames": result.cell.frames, "cap": result.cell.cap, **asdict(summary)}
        for result in results.cells
        for summary in result.summaries
    ]
    content = {"systems": rows, "routers": [asdict(quality) for quality in qualities]}
    (config.out / "summary.json").write_text(json.dumps(content, indent=2), encoding="utf-8")
    return results


def _summarised(config: EvalConfig, cell: Cell, found: dict[str, list[Prediction]]) -> CellResult:
    """The systems of one cell. Raises `ValueError` where those compared were not fed equal tokens."""
    answered = [name for name in config.systems if found.get(name)]
    apart = [name for name in answered if found[name][0].kind != "compared"]
    compared = {name: [p.fed for p in found[name]] for name in found if name not in apart}
    if compared:
        check_equal(compared, ROUTED if ROUTED in compared else next(iter(compared)))
    return CellResult(cell, [summarise(found[name]) for name in answered], apart)


def _silent(config: EvalConfig, cell: Cell, system: str, failures: Sequence[Failure]) -> str:
    """What to say of a system without any answer."""
    first = next((f"; the first failed so: {failure.error}" for failure in failures if failure.system == system), "")
    return f"{system} answered no question at cap {cell.cap}{first}: {config.out / FAILURES} lists all"


def _engine_of(config: EvalConfig) -> Engine | None:
    """The server that generates; None where the base does it here. Raises `EngineError` where it does not answer."""
    if config.upstream is None:
        return None
    import torch

    from videorouter.routers.answering.vllm_engine import VllmEngine

    dtype = None if config.upstream_dtype is None else getattr(torch, config.upstream_dtype)
    return VllmEngine(config.upstream, config.upstream_model, dtype)


def _router_of(config: EvalConfig, device: str) -> VideoRouter:
    """The router, or the base model alone, named by its hash as a router's is."""
    asked: Loading = {**config.loading(), "device": device}
    if config.model is not None:
        return VideoRouter.from_pretrained(config.model, base=config.base, accept_base=config.accept_base, **asked)
    identity = base_identity(config.base or "", config.revision, **hub_access(asked))
    at: Loading = {**asked, "revision": identity.revision}
    router = VideoRouter.from_base(identity.path, **at)
    return router.identified(identity)


def _router_at(router: VideoRouter, config: EvalConfig, point: Point) -> VideoRouter:
    frames, scales = point.frames or config.frames, point.scales or config.scales
    router = router.resampled(frames) if frames else router
    return router.rescaled(scales) if scales else router


def _write_results(
    config: EvalConfig,
    runners: Sequence[Runner],
    items: Sequence[Item],
    made: dict[Cell, dict[str, list[Prediction]]],
) -> None:
    """Write everything but tables; answers last, in the order of items, points and systems: with them the run is finished."""
    asked, ranks = {item.id: place for place, item in enumerate(items)}, runners[0].ranks
    for runner in runners:
        failed = {failure.item for failure in runner.failures}
        for place, pack in enumerate(packs(items, config.answers_at_once)):
            for item in pack if ranks.owns(place) else ():
                if item.video.name not in runner.videos and item.id not in failed:
                    runner.watch_and_record(item)  # all of its answers were kept before an interruption
    videos = ranks.gathered([video for runner in runners for video in runner.videos.values()])
    failures = ranks.gathered([failure for runner in runners for failure in runner.failures])
    if not ranks.first:
        return
    videos.sort(key=lambda video: (video.video, video.sampled))
    failures.sort(key=lambda failure: (asked.get(failure.item, -1), failure.sampled, failure.cap, failure.system))
    write_rows(config.out / ITEMS, (item_row(config.benchmark, item) for item in items))
    write_rows(config.out / VIDEOS, (asdict(video) for video in videos))
    write_rows(config.out / FAILURES, (asdict(failure) for failure in failures))
    turns = [found.get(name, []) for found in made.values() for name in config.systems]
    order = sorted((asked[p.item], turn, asdict(p)) for turn, those in enumerate(turns) for p in those)
    write_rows(config.out / PREDICTIONS, (row for _, _, row in order))
