"""`eval run`: the compared systems at equal tokens on one benchmark, references apart, router quality where truth is known."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict

from rich.console import Console
from rich.progress import Progress

from videorouter.eval.batches import packs
from videorouter.eval.benchmarks import load_benchmark, load_items
from videorouter.eval.budgets import check_equal, item_budgets
from videorouter.eval.config import EvalConfig, Point
from videorouter.eval.controls import Shuffled, system_or_control
from videorouter.eval.items import Item
from videorouter.eval.journal import Journal
from videorouter.eval.manifest import begin, made_manifest
from videorouter.eval.plot import accuracy_against_tokens
from videorouter.eval.predictions import Cell, Prediction
from videorouter.eval.prompts import usual_wording
from videorouter.eval.ranks import Ranks
from videorouter.eval.router_quality import measure
from videorouter.eval.run_folder import FAILURES, ITEMS, PREDICTIONS, VIDEOS, item_row, write_rows
from videorouter.eval.runner import Runner
from videorouter.eval.statistics import Summary, summarise
from videorouter.eval.tables import results_table, router_table
from videorouter.routers.allocation import scaled_tokens
from videorouter.routers.runtime import VideoRouter
from videorouter.routers.systems.base import System
from videorouter.routers.systems.spec import ROUTED, parse_spec


def run(config: EvalConfig) -> list[Summary]:
    """Run the comparison, write it to `config.out`, print the tables.

    Raises `ValueError` for unknown names, an existing output folder, or budgets that cannot be made equal.
    """
    if ROUTED not in config.systems:
        raise ValueError(f"`systems` needs {ROUTED!r}: its fed tokens are what the others are given")
    if (config.out / PREDICTIONS).exists() and not config.retry_failed:
        raise ValueError(
            f"{config.out} already holds predictions: choose another --out, runs are never mixed; --retry-failed asks again what "
            "failed there"
        )
    device = Ranks.own_device(config.device)
    router = VideoRouter.from_pretrained(config.model, base=config.base, device=device)
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
            placed = _placed(router, config, point)
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
                runners[frames], items, validation, config.systems, point.budget, progress, config.encoder
            )
        qualities = [
            measure(placed, items_, name, progress)
            for name, items_ in ((config.validation_split, validation), (config.split, items))
            if name and ranks.first and config.router_quality and all(item.truth for item in items_)
        ]
    _leave(config, list(runners.values()), items, made)
    if not ranks.first:
        ranks.leave()
        return []
    journal.close()
    apart = [name for name in config.systems if is_apart(system_or_control(router, name, encoder=config.encoder))]
    rows = []
    for cell, found in made.items():
        summaries = [summarise(found[name]) for name in config.systems]
        check_equal({name: [p.fed for p in found[name]] for name in found if name not in apart}, ROUTED)
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
    return summaries


def _placed(router: VideoRouter, config: EvalConfig, point: Point) -> VideoRouter:
    frames, scales = point.frames or config.frames, point.scales or config.scales
    router = router.resampled(frames) if frames else router
    return router.rescaled(scales) if scales else router


def _leave(
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
                if item.video.name not in runner.watched and item.id not in failed:
                    runner.seen(item)  # all of its answers were kept before an interruption
    watched = ranks.together([one for runner in runners for one in runner.watched.values()])
    failures = ranks.together([one for runner in runners for one in runner.failures])
    if not ranks.first:
        return
    watched.sort(key=lambda one: (one.video, one.sampled))
    failures.sort(key=lambda one: (asked.get(one.item, -1), one.sampled, one.cap, one.system))
    write_rows(config.out / ITEMS, (item_row(config.benchmark, item) for item in items))
    write_rows(config.out / VIDEOS, (asdict(one) for one in watched))
    write_rows(config.out / FAILURES, (asdict(failure) for failure in failures))
    turns = [found.get(name, []) for found in made.values() for name in config.systems]
    order = sorted((asked[p.item], turn, asdict(p)) for turn, those in enumerate(turns) for p in those)
    write_rows(config.out / PREDICTIONS, (row for _, _, row in order))


def is_apart(system: System) -> bool:
    """Whether a system's row is printed apart: references, and `videorouter` with options of its own, which feeds other tokens."""
    return system.reference or (system.name != ROUTED and parse_spec(system.name).name == ROUTED)


def compare(
    runner: Runner,
    items: Sequence[Item],
    validation: Sequence[Item],
    systems: Sequence[str],
    cap: int,
    progress: Progress,
    encoder: str | None = None,
    mean_tokens: float | None = None,
) -> dict[str, list[Prediction]]:
    """Predictions by system: the router first, at the cap; then the others at its mean fed tokens.

    With `mean_tokens` the others are given these, and the router does not run unless it is among `systems`.
    """
    made: dict[str, list[Prediction]] = {}
    if mean_tokens is None or ROUTED in systems:
        routed = runner.router.system()
        made[ROUTED] = runner.run(items, [routed], {ROUTED: [cap] * len(items)}, progress, cap)
        if not made[ROUTED]:
            raise ValueError(
                f"{ROUTED} answered none of {len(items)} questions; the first failed so: {runner.failures[0].error}"
            )
    if mean_tokens is None:
        mean_tokens = sum(prediction.fed for prediction in made[ROUTED]) / len(made[ROUTED])
    per_frame = runner.router.backbone.tokens_per_frame
    others: list[System] = []
    for name in systems:
        if parse_spec(name) == parse_spec("uniform_pooling"):
            scale = _best_scale(runner, validation, mean_tokens, cap, progress)
            others.append(runner.router.system(name, scale=scale))
        elif name != ROUTED:
            others.append(system_or_control(runner.router, name, encoder=encoder, fill=True))
    equal = item_budgets(mean_tokens, len(items), per_frame, cap)
    # What routes decides itself how much of the cap it spends.
    at_cap = {system.name for system in others if _spends_cap(system)}
    budgets = {system.name: [cap] * len(items) if system.name in at_cap else equal for system in others}
    for prediction in runner.run(items, others, budgets, progress, cap):
        made.setdefault(prediction.system, []).append(prediction)
    return made


def _spends_cap(system: System) -> bool:
    inner = system.inner if isinstance(system, Shuffled) else system
    return inner.reference or parse_spec(inner.name).name.endswith(ROUTED)


def _best_scale(runner: Runner, validation: Sequence[Item], mean_tokens: float, cap: int, progress: Progress) -> int:
    """The pooling scale of highest validation accuracy among those that can spend `mean_tokens`; the coarser of equals."""
    backbone = runner.router.backbone
    frames = -(-runner.router.config.frames // backbone.frames_per_patch)
    per_frame = backbone.tokens_per_frame
    able = [scale for scale in (2, 4, 8) if frames * scaled_tokens(per_frame, scale) >= mean_tokens]
    if len(able) < 2:
        return able[0] if able else 1
    if not validation:
        return min(able)
    budgets = item_budgets(mean_tokens, len(validation), per_frame, cap)
    accuracy: dict[int, float] = {}
    for scale in able:
        system = runner.router.system("uniform_pooling", scale=scale)
        made = runner.run(validation, [system], {system.name: budgets}, progress, keep=False)
        accuracy[scale] = sum(prediction.correct for prediction in made) / len(made)
    return max(able, key=lambda scale: (accuracy[scale], scale))
