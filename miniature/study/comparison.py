"""`videorouter miniature compare`: every system of the papers on the base it is made for, and VideoRouter's further options."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import Progress

from videorouter.eval.benchmarks.items import Item
from videorouter.eval.benchmarks.registry import load_items
from videorouter.eval.plot import Curve, accuracy_curves
from videorouter.eval.run_folder import Prediction
from videorouter.eval.running.comparison import compare
from videorouter.eval.running.controls import system_or_control
from videorouter.eval.running.distribution import Ranks
from videorouter.eval.running.runner import Runner
from videorouter.eval.running.unfinished_run import Journal
from videorouter.eval.statistics import paired_difference, summarise
from videorouter.miniature.bases import DENSE_ROUTER, ROBUST_ROUTER
from videorouter.miniature.study.budgets import DENSE_TOKENS, HEADLINE, POINTS, Point
from videorouter.miniature.study.claims import Claim, check_claims
from videorouter.miniature.study.report import markdown_table, members
from videorouter.miniature.world.build import build_world
from videorouter.routers.answering.video_router import VideoRouter
from videorouter.routers.checkpoints.router_folder import read_config
from videorouter.routers.systems.spec import ROUTED

ROUTING: Final = (ROUTED, "frame_budget", "uniform_pooling", "fca+videorouter", "oracle")
"""On base `robust`, which was trained on compressed frames."""
TRAINING_FREE: Final = (
    "frame_budget", "uniform_pooling", "random_drop", "vidcom2", "fca+uniform_pooling", "fca+random_drop",
    "attention_topk", "adapttoken", "adapttoken_lite",
)  # fmt: skip
"""On base `dense`, which learned on whole frames alone, as the models do that they were made for."""
OPTIONS: Final = (
    "min_confidence=0.9", "smoothing=1", "smoothing=2", "router_scale=4", "graded=true", "screen_side=56",
)  # fmt: skip

FORCED: Final = ("policy=global", "policy=fragment")
"""Without the Image Router, and without the Semantic Router."""

CONTROLS: Final = ("blind", f"shuffled+{ROUTED}")


@dataclass(frozen=True)
class Row:
    """One system on one base at one budget; accuracies in 0..1, `low` and `high` a 95 % interval over videos."""

    base: str
    system: str
    budget: int
    tokens: float
    accuracy: float
    low: float
    high: float
    on_fragment: float
    on_global: float


def compare_systems(
    out: Path,
    robust: Path = ROBUST_ROUTER,
    dense: Path = DENSE_ROUTER,
    videos: int = 50,
    questions_per_video: int = 24,
    seed: int = 1000,
    points: int = len(POINTS),
) -> None:
    """Measure all systems at equal tokens on the world of `report`, and what the papers claim; torchrun shares the work.

    Args:
        out: Folder to write: comparison.md, comparison.png, comparison.json and the world. An interrupted comparison goes on there.
        robust: Router folder over the base trained on compressed frames.
        dense: Router folder over the base trained on whole frames.
        videos: Videos of the world; 15 in 100 choose the scale of uniform pooling, the others are asked about.
        questions_per_video: Questions a video.
        seed: Of the world; the shipped bases and routers never saw it.
        points: How many budgets, counted from the headline's.

    Raises:
        ValueError: where `out` already holds a comparison.
    """
    if (out / "comparison.json").exists():
        raise ValueError(f"{out} already holds a comparison: choose another --out")
    for folder in (robust, dense):
        read_config(folder)  # before anything is rendered
    world, ranks = out / "world", Ranks.joined()
    if ranks.first and not (world / "truth.jsonl").exists():
        build_world(world, videos, seed=seed, questions_per_video=questions_per_video, splits=(0, 15, 85))
    ranks.wait()
    items, validation = (load_items("miniature", world, split, None) for split in ("test", "val"))
    chosen = sorted(POINTS, key=lambda point: abs(point.budget - HEADLINE.budget))[:points]
    console, made = Console(markup=False, width=150), {}
    remembered = len({item.video for item in [*items, *validation]})
    journals = [Journal.opened(out / f"answers-{base}", ranks) for base in ("robust", "dense")]
    routing, free = (
        Runner(
            VideoRouter.from_pretrained(folder),
            "likelihood",
            remembered,
            share_passes=True,
            journal=journal,
            ranks=ranks,
        )
        for folder, journal in zip((robust, dense), journals, strict=True)
    )
    with Progress(console=console, disable=not ranks.first) as progress:
        for key, found in _answered(routing, free, items, validation, chosen, progress):
            made[key] = found
    if not ranks.first:
        ranks.leave()
        return
    rows = [_row(*key, found) for key, found in made.items()]
    claims = [claim for point in chosen for claim in check_claims(made, point.budget)]
    _write(out, rows, claims, made, len(items))
    for journal in journals:
        journal.close()
    console.print((out / "comparison.md").read_text(encoding="utf-8"))


Key = tuple[str, str, int]
"""Base, system, budget."""


Answers = dict[str, list[Prediction]]
"""Predictions by system."""


def _answered(
    routing: Runner,
    free: Runner,
    items: Sequence[Item],
    validation: Sequence[Item],
    chosen: Sequence[Point],
    progress: Progress,
) -> Iterator[tuple[Key, list[Prediction]]]:
    router, on_dense = routing.router, free.router
    for base, runner in (("robust", routing), ("dense", free)):
        yield (base, "dense", DENSE_TOKENS), _alone(runner, items, ("dense",), DENSE_TOKENS, progress)["dense"]
    for point in chosen:
        routing.router, free.router = router.rescaled(point.scales), on_dense.rescaled(point.scales)
        found = compare(routing, items, validation, ROUTING, point.budget, progress)
        mean = sum(prediction.fed for prediction in found[ROUTED]) / len(items)
        yield from ((("robust", name, point.budget), made) for name, made in found.items())
        found = compare(free, items, validation, TRAINING_FREE, point.budget, progress, mean_tokens=mean)
        yield from ((("dense", name, point.budget), made) for name, made in found.items())
    routing.router = router.rescaled(HEADLINE.scales)
    for option in (*OPTIONS, *FORCED):
        spec = f"{ROUTED}({option})"
        yield ("robust", option, HEADLINE.budget), _alone(routing, items, (spec,), HEADLINE.budget, progress)[spec]
    for control, made in _alone(routing, items, CONTROLS, HEADLINE.budget, progress).items():
        yield ("robust", control, HEADLINE.budget), made


def _alone(runner: Runner, items: Sequence[Item], specs: Sequence[str], budget: int, progress: Progress) -> Answers:
    systems = [system_or_control(runner.router, spec) for spec in specs]
    budgets = {system.name: [budget] * len(items) for system in systems}
    made: Answers = {}
    for prediction in runner.run(items, systems, budgets, progress):
        made.setdefault(prediction.system, []).append(prediction)
    return made


def _row(base: str, system: str, budget: int, found: Sequence[Prediction]) -> Row:
    whole = summarise(found)
    on_fragment, on_global = (summarise(members(found, policy)).accuracy for policy in ("fragment", "global"))
    return Row(
        base,
        system,
        budget,
        whole.tokens_mean,
        whole.accuracy,
        whole.low,
        whole.high,
        on_fragment,
        on_global,
    )


def _write(
    out: Path,
    rows: Sequence[Row],
    claims: Sequence[Claim],
    made: dict[Key, list[Prediction]],
    questions: int,
) -> None:
    content = {"rows": [asdict(row) for row in rows], "claims": [asdict(claim) for claim in claims]}
    (out / "comparison.json").write_text(json.dumps(content, indent=1), encoding="utf-8")
    (out / "comparison.md").write_text(_markdown(rows, claims, made, questions), encoding="utf-8")
    named = {"robust": "base robust (VideoRouter's)", "dense": "base dense (training-free systems')"}
    guessing = next(summarise(found).chance for found in made.values())
    curves = [
        Curve(system, named[base], [_point(row) for row in rows if (row.base, row.system) == (base, system)])
        for base, systems in (("robust", ("dense", *ROUTING)), ("dense", ("dense", *TRAINING_FREE)))
        for system in systems
    ]
    accuracy_curves(
        curves,
        out / "comparison.png",
        mark=(HEADLINE.share * DENSE_TOKENS, "67.9 % fewer"),
        guessing=dict.fromkeys(named.values(), guessing),
        title=f"Miniature world: {questions} held-out questions, equal tokens fed, 95 % intervals over videos",
        in_a_row=5,
    )


def _point(row: Row) -> tuple[float, float, float, float]:
    return row.tokens, row.accuracy, row.low, row.high


def _markdown(rows: Sequence[Row], claims: Sequence[Claim], made: dict[Key, list[Prediction]], questions: int) -> str:
    plain = made["robust", ROUTED, HEADLINE.budget]
    aside = [(option, made["robust", option, HEADLINE.budget]) for option in OPTIONS]
    options = []
    for option, found in aside:
        gain, summary = paired_difference(found, plain), summarise(found)
        options.append(
            [
                option,
                f"{summary.tokens_mean:.0f}",
                f"{summary.accuracy:.3f}",
                f"{100 * gain.mean:+.1f} ({100 * gain.low:+.1f} to {100 * gain.high:+.1f})",
            ]
        )
    unoptioned = summarise(plain)
    options.insert(0, ["none", f"{unoptioned.tokens_mean:.0f}", f"{unoptioned.accuracy:.3f}", ""])
    table = [
        [
            row.base, row.system, "none" if row.system == "dense" else str(row.budget), f"{row.tokens:.0f}",
            f"{row.accuracy:.3f} ({row.low:.3f}-{row.high:.3f})", f"{row.on_fragment:.3f}", f"{row.on_global:.3f}",
        ]
        for row in rows
    ]  # fmt: skip
    headers = ("base", "system", "budget", "tokens fed", "all", "fragment", "global")
    return "\n".join(
        [
            f"{questions} held-out questions in held-out wordings, 95 % intervals over videos; tokens fed are equal at a budget.",
            "",
            markdown_table(headers, table),
            "",
            "Claims:",
            "",
            markdown_table(
                ("paper", "claim", "published", "budget", "here"),
                [[c.paper, c.claim, c.published, str(c.budget), c.measured] for c in claims],
            ),
            "",
            f"Options of VideoRouter at budget {HEADLINE.budget}, base `robust`; points against none:",
            "",
            markdown_table(("option", "tokens fed", "accuracy", "points"), options),
            "",
        ]
    )
