"""`videorouter miniature report`: every system at every budget on held-out questions, and which bounds hold."""

import csv
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from videorouter.eval.benchmarks.items import Item
from videorouter.eval.benchmarks.registry import load_items
from videorouter.eval.plot import Curve, accuracy_curves
from videorouter.eval.run_folder import Prediction
from videorouter.eval.running.comparison import compare
from videorouter.eval.running.runner import Runner
from videorouter.eval.statistics import Summary, paired_difference, summarise
from videorouter.miniature.bases import DENSE_ROUTER, ROBUST_ROUTER
from videorouter.miniature.study.budgets import DENSE_TOKENS, HEADLINE, POINTS, SYSTEMS, Point
from videorouter.miniature.study.claims import Bound, check_bounds
from videorouter.miniature.study.probes import WrongFrames, measure_probes
from videorouter.miniature.world.build import build_world
from videorouter.miniature.world.wordings import KINDS
from videorouter.routers.answering.video_router import VideoRouter
from videorouter.routers.checkpoints.router_folder import read_config
from videorouter.routers.systems.spec import ROUTED

GROUPS: Final = ("all", "fragment", "global", *KINDS)
FED_EQUAL, FED_CAP = "equal", "cap"
UNIFORM_SCALES: Final = (2, 4, 8)


@dataclass(frozen=True)
class Row:
    """One line of the CSV. `fed`: `equal` where a system was given the tokens VideoRouter fed, `cap` where the whole budget."""

    base: str
    system: str
    reference: bool
    fed: str
    budget: int
    group: str
    questions: int
    accuracy: float
    low: float
    high: float
    guessing: float
    tokens: float


def report(
    out: Path,
    robust: Path = ROBUST_ROUTER,
    dense: Path = DENSE_ROUTER,
    videos: int = 50,
    questions_per_video: int = 24,
    seed: int = 1000,
    points: int = len(POINTS),
) -> None:
    """Measure accuracy against tokens on a fresh world.

    Args:
        out: Folder to write: report.csv, report.md, report.png, bounds.json, predictions.jsonl and the world.
        robust: Router folder over the base trained on compressed frames.
        dense: Router folder over the base trained on whole frames.
        videos: Videos of the world; 15 in 100 choose the scale of uniform pooling, the others are asked about.
        questions_per_video: Questions a video.
        seed: Of the world; the shipped bases and routers never saw it.
        points: How many budgets, counted from the headline's.

    Raises:
        ValueError: where `out` already holds a report.
    """
    if (out / "report.csv").exists():
        raise ValueError(f"{out} already holds a report: choose another --out")
    for folder in (robust, dense):
        read_config(folder)  # before anything is rendered
    world = out / "world"
    if not (world / "truth.jsonl").exists():
        build_world(world, videos, seed=seed, questions_per_video=questions_per_video, splits=(0, 15, 85))
    items, validation = (load_items("miniature", world, split, None) for split in ("test", "val"))
    chosen = sorted(POINTS, key=lambda point: abs(point.budget - HEADLINE.budget))[:points]
    console = Console(markup=False, width=130)
    with Progress(console=console) as progress:
        router = VideoRouter.from_pretrained(robust)
        made = {("robust", *key): found for key, found in _study(router, items, validation, chosen, progress).items()}
        on_dense = VideoRouter.from_pretrained(dense)
        made["dense", "dense", FED_CAP, DENSE_TOKENS] = _dense(
            Runner(on_dense, "likelihood", share_passes=True), items, progress
        )
        information = measure_probes(router.backbone)
    rows = [row for key, found in made.items() for row in _rows(key, found)]
    bounds = check_bounds(made, information)
    _write(out, rows, bounds, made, items)
    console.print(_table(rows), _bounds_table(bounds))
    console.print(f"table, figures and plot: {out / 'report.md'}, {out / 'report.csv'}, {out / 'report.png'}")


Key = tuple[str, str, int]
"""System, how it was fed, budget."""


def _study(
    router: VideoRouter, items: Sequence[Item], validation: Sequence[Item], points: Sequence[Point], progress: Progress
) -> dict[Key, list[Prediction]]:
    """Every system at every point; `dense` once; at the headline also with the whole budget, and with wrong frames sharp."""
    made: dict[Key, list[Prediction]] = {}
    remembered = len({item.video for item in [*items, *validation]})
    runner = Runner(router, "likelihood", remembered, share_passes=True)
    made["dense", FED_CAP, DENSE_TOKENS] = _dense(runner, items, progress)
    for point in points:
        runner.router = router.rescaled(point.scales)
        names = [name for name in SYSTEMS if name != "dense"]
        for name, found in compare(runner, items, validation, names, point.budget, progress).items():
            fed = FED_CAP if runner.router.system(name).kind != "compared" else FED_EQUAL
            made[name, fed, point.budget] = found
    runner.router = router.rescaled(HEADLINE.scales)
    caps = [HEADLINE.budget] * len(items)
    wrong_frames = WrongFrames(router.backbone.grid, HEADLINE.scales)
    fragment = [item for item in items if KINDS[item.group].policy == "fragment"]
    made[wrong_frames.name, FED_CAP, HEADLINE.budget] = runner.run(
        fragment, [wrong_frames], {wrong_frames.name: caps[: len(fragment)]}, progress
    )
    frames = router.system("frame_budget")
    made[frames.name, FED_CAP, HEADLINE.budget] = runner.run(items, [frames], {frames.name: caps}, progress)
    for scale in UNIFORM_SCALES:
        pooling = router.system("uniform_pooling", scale=scale)
        found = runner.run(items, [pooling], {pooling.name: caps}, progress)
        made[f"uniform_pooling s={scale}", FED_CAP, HEADLINE.budget] = found
    return made


def _dense(runner: Runner, items: Sequence[Item], progress: Progress) -> list[Prediction]:
    system = runner.router.system("dense")
    return runner.run(items, [system], {system.name: [DENSE_TOKENS] * len(items)}, progress)


def members(predictions: Sequence[Prediction], group: str) -> list[Prediction]:
    """Those of a kind, of a policy, or all."""
    return [p for p in predictions if group in ("all", p.group, KINDS[p.group].policy)]


def _rows(key: tuple[str, str, str, int], predictions: Sequence[Prediction]) -> Iterable[Row]:
    base, system, fed, budget = key
    for group in GROUPS:
        some = members(predictions, group)
        if some:
            found: Summary = summarise(some)
            reference = fed == FED_CAP
            yield Row(
                base, system, reference, fed, budget, group, found.items, found.accuracy, found.low, found.high,
                found.chance, found.tokens_mean,
            )  # fmt: skip


def _write(
    out: Path,
    rows: Sequence[Row],
    bounds: Sequence[Bound],
    made: dict[tuple[str, str, str, int], list[Prediction]],
    items: Sequence[Item],
) -> None:
    with (out / "report.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(asdict(rows[0])))
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)
    with (out / "predictions.jsonl").open("w", encoding="utf-8") as file:
        for (base, system, fed, budget), found in made.items():
            for prediction in found:
                known = {"base": base, "row": system, "fed": fed, "at": budget}
                file.write(json.dumps(known | asdict(prediction)) + "\n")
    (out / "bounds.json").write_text(json.dumps([asdict(bound) for bound in bounds], indent=1), encoding="utf-8")
    (out / "report.md").write_text(_markdown(rows, bounds, made), encoding="utf-8")
    curves = [
        Curve(system, f"{group} questions", [_point(row) for row in rows if _on_curve(row, system, group)])
        for system in SYSTEMS
        for group in ("all", "fragment", "global")
    ]
    accuracy_curves(
        curves,
        out / "report.png",
        mark=(HEADLINE.share * DENSE_TOKENS, "67.9 % fewer"),
        guessing={
            f"{group} questions": next(r.guessing for r in rows if r.group == group)
            for group in ("all", "fragment", "global")
        },
        title=f"Miniature world, base `robust`: {len(items)} held-out questions, 95 % intervals over videos",
    )


def _point(row: Row) -> tuple[float, float, float, float]:
    return row.tokens, row.accuracy, row.low, row.high


def _on_curve(row: Row, system: str, group: str) -> bool:
    own = FED_CAP if system in ("dense", "oracle") else FED_EQUAL
    return row.base == "robust" and row.system == system and row.group == group and row.fed == own


COLUMNS = ("all", "fragment", "global")


def _key(row: Row) -> tuple[str, str, str, int]:
    return row.base, row.system, row.fed, row.budget


def _lines(rows: Sequence[Row]) -> list[list[str]]:
    lines = []
    for first in (row for row in rows if row.group == "all"):
        cells = []
        for group in COLUMNS:
            same = [row for row in rows if row.group == group and _key(row) == _key(first)]
            cells.append(f"{same[0].accuracy:.3f} ({same[0].low:.3f}-{same[0].high:.3f})" if same else "")
        budget = "none" if first.system == "dense" else str(first.budget)
        lines.append([first.base, first.system, first.fed, budget, f"{first.tokens:.0f}", *cells])
    return lines


HEADERS = ("base", "system", "given", "budget", "tokens fed", *COLUMNS)


def _table(rows: Sequence[Row]) -> Table:
    table = Table(title="accuracy (95 % interval over videos)")
    for header in HEADERS:
        table.add_column(header)
    for line in _lines(rows):
        table.add_row(*line)
    return table


def _bounds_table(bounds: Sequence[Bound]) -> Table:
    table = Table(title="bounds")
    for header in ("what", "measured", "bound", "held"):
        table.add_column(header)
    for bound in bounds:
        table.add_row(bound.what, bound.measured, bound.bound, "yes" if bound.held else Text("no", style="red"))
    return table


def _markdown(
    rows: Sequence[Row], bounds: Sequence[Bound], made: dict[tuple[str, str, str, int], list[Prediction]]
) -> str:
    questions = next(row.questions for row in rows if row.group == "all")
    lines = [
        f"{questions} held-out questions in held-out wordings; accuracy with its 95 % interval, bootstrap over videos. `given`: "
        "`equal` is the number of tokens VideoRouter fed on average, `cap` the whole budget.",
        "",
        markdown_table(HEADERS, _lines(rows)),
        "",
        "VideoRouter minus each system at equal tokens, base `robust`, headline budget:",
        "",
    ]
    routed = made["robust", ROUTED, FED_EQUAL, HEADLINE.budget]
    differences = []
    for (base, system, fed, budget), found in made.items():
        if base == "robust" and budget == HEADLINE.budget and system != ROUTED and len(found) == len(routed):
            difference = paired_difference(routed, found)
            differences.append(
                [
                    system,
                    fed,
                    f"{100 * difference.mean:+.1f} ({100 * difference.low:+.1f} to {100 * difference.high:+.1f})",
                ]
            )
    lines += [markdown_table(("system", "given", "points"), differences), "", "Bounds:", ""]
    lines += [
        markdown_table(
            ("what", "measured", "bound", "held"),
            [[b.what, b.measured, b.bound, "yes" if b.held else "**no**"] for b in bounds],
        ),
        "",
    ]
    return "\n".join(lines)


def markdown_table(headers: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    rows = [headers, ["---"] * len(headers), *lines]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)
