"""`eval run`: systems at equal tokens on one benchmark, references apart, router quality where the truth is known."""

import json
import math
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from videorouter.eval.benchmarks.items import Item
from videorouter.eval.benchmarks.registry import load_benchmark, load_items
from videorouter.eval.config import EvalConfig, Point
from videorouter.eval.plot import accuracy_against_tokens
from videorouter.eval.run_folder import FAILURES, ITEMS, PREDICTIONS, VIDEOS, Cell, Prediction, item_row, write_rows
from videorouter.eval.running.comparison import compare
from videorouter.eval.running.distribution import Ranks, packs
from videorouter.eval.running.prompts import usual_wording
from videorouter.eval.running.router_quality import measure, router_table
from videorouter.eval.running.runner import Runner
from videorouter.eval.running.unfinished_run import Journal, begin, made_manifest
from videorouter.eval.statistics import Summary, check_equal, summarise
from videorouter.routers.answering.video_router import VideoRouter
from videorouter.routers.checkpoints.base_identity import base_identity
from videorouter.routers.systems.spec import ROUTED


def run(config: EvalConfig) -> list[Summary]:
    """Run the comparison, write it to `config.out`, print the tables.

    Raises `ValueError` for unknown names, an existing output folder, or budgets that cannot be made equal.
    """
    if (config.out / PREDICTIONS).exists() and not config.retry_failed:
        raise ValueError(
            f"{config.out} already holds predictions: choose another --out, runs are never mixed; --retry-failed asks again what "
            "failed there"
        )
    device = Ranks.own_device(config.device)
    router = _router_of(config, device)
    benchmark = load_benchmark(config.benchmark, config.data, config.split, config.limit)
    items, validation = benchmark.items, []
    if config.validation_split is not None:
        validation = load_items(config.benchmark, config.data, config.validation_split, config.validation_limit)
    wording = usual_wording(config.benchmark, config.subtitles)
    ranks = Ranks.joined()
    if ranks.first:
        begin(config.out, made_manifest(config, router, wording.id, len(benchmark.wrong)))
        if (config.out / PREDICTIONS).exists():
            (config.out / PREDICTIONS).rename(config.out / "answered-0.jsonl")
    journal = Journal.opened(config.out, ranks)
    # A log file is no terminal of 80 columns: the table would lose its figures there.
    console = Console(markup=False) if sys.stdout.isatty() else Console(markup=False, width=150)
    runners: dict[int, Runner] = {}
    made: dict[Cell, dict[str, list[Prediction]]] = {}
    with Progress(console=console, transient=True, disable=not ranks.first) as progress:
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
        qualities, unmeasured = [], []
        for name, items_ in ((config.validation_split, validation), (config.split, items)):
            wanted = config.router_quality and router.has_routers and all(item.truth for item in items_)
            if name and ranks.first and wanted:
                try:
                    qualities.append(measure(placed, items_, name, progress))
                except ValueError as error:  # too few questions for that; the answers stand all the same
                    unmeasured.append(f"the routers are not measured: {error}")
    _write_results(config, list(runners.values()), items, made)
    if not ranks.first:
        ranks.leave()
        return []
    journal.close()
    rows: list[dict[str, Any]] = []
    summaries: list[Summary] = []
    silent: list[tuple[Cell, str]] = []
    for cell, found in made.items():
        answered = [name for name in config.systems if found.get(name)]
        silent += [(cell, name) for name in config.systems if name not in answered]
        if not answered:
            continue
        summaries = [summarise(found[name]) for name in answered]
        apart = [name for name in answered if found[name][0].kind != "compared"]
        compared = {name: [p.fed for p in found[name]] for name in found if name not in apart}
        if compared:
            check_equal(compared, ROUTED if ROUTED in compared else next(iter(compared)))
        rows += [{"frames": cell.frames, "cap": cell.cap, **asdict(summary)} for summary in summaries]
        name = "accuracy_against_tokens" + (f"-{cell.frames}-{cell.cap}" if len(made) > 1 else "")
        accuracy_against_tokens(summaries, apart, config.out / f"{name}.png")
        console.print(
            f"{cell.benchmark}, {cell.frames} frames, at most {cell.cap} tokens", results_table(summaries, apart)
        )
    content = {"systems": rows, "routers": [asdict(quality) for quality in qualities]}
    (config.out / "summary.json").write_text(json.dumps(content, indent=2), encoding="utf-8")
    for quality in qualities:
        console.print(router_table(quality))
    for note in unmeasured:
        console.print(note)
    if silent:
        cell, name = silent[0]
        failed = [failure for runner in runners.values() for failure in runner.failures if failure.system == name]
        reason = f"; the first failed so: {failed[0].error}" if failed else ""
        raise ValueError(f"{name} answered no question at cap {cell.cap}{reason}: {config.out / FAILURES} lists all")
    return summaries


def results_table(summaries: Sequence[Summary], references: Sequence[str]) -> Table:
    """Accuracy with its interval, tokens fed, stage times; references in a section of their own."""
    table = Table(title=_title(summaries[0]))
    stages = list(summaries[0].seconds_by_stage)
    table.add_column("system")
    for name in ("accuracy", "interval", "tokens", "p95", "unparsed", *stages):
        table.add_column(name, justify="right")
    compared = [summary for summary in summaries if summary.system not in references]
    apart = [summary for summary in summaries if summary.system in references]
    for position, summary in enumerate([*compared, *apart]):
        table.add_row(
            summary.system + (" (reference)" if summary in apart else ""),
            f"{summary.accuracy:.3f}",
            f"{summary.low:.3f}-{summary.high:.3f}",
            _figure(summary.tokens_mean, 1),
            _figure(summary.tokens_p95, 0),
            str(summary.unparsed),
            *(_figure(summary.seconds_by_stage.get(stage, math.nan), 3) for stage in stages),
            end_section=position == len(compared) - 1,
        )
    return table


def _router_of(config: EvalConfig, device: str) -> VideoRouter:
    """The router, or the base model alone, named by its hash as a router's is."""
    if config.model is not None:
        return VideoRouter.from_pretrained(config.model, base=config.base, device=device)
    identity = base_identity(config.base or "")
    router = VideoRouter.from_base(identity.path, revision=identity.revision, device=device)
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


def _figure(value: float, digits: int) -> str:
    return "?" if math.isnan(value) else f"{value:.{digits}f}"


def _title(any_system: Summary) -> str:
    guessing = f"guessing reaches {any_system.chance:.3f}"
    return f"{any_system.items} questions; {guessing}; 95 % interval over videos; seconds a question"
