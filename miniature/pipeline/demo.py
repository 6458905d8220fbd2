"""`make demo`: the main job on the shipped base, then accuracy at equal tokens, then one answer, by a user's commands."""

import json
import shutil
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from videorouter.miniature.bases import ROBUST
from videorouter.miniature.pipeline.main_job import SCALES, Scale, ScaleName, build_labels, checkpoint, train_routers
from videorouter.miniature.pipeline.stages import StageFailed, Stages

MARKER = ".videorouter-demo"
BUDGETS = {329: (4, 1, 8), 512: (2, 1, 4)}
"""Visual tokens of 1,024 dense ones, with the scales used there (global; relevant, irrelevant); the first is the published cut."""


def demo(out: Path = Path("runs/demo"), scale: ScaleName = "full", seed: int = 0) -> None:
    """Run the main job on a fresh miniature world: world, teacher, builders, training, export, evaluation, answer.

    Args:
        out: Folder for everything; an earlier demo's folder is replaced.
        scale: `tiny` shows in seconds that everything works; `full` is held to the promised figures.
        seed: Of the world.

    Raises:
        ValueError: where `out` is not empty and not an earlier demo's.
    """
    console = Console(markup=False)
    _clear(out)
    stages = Stages(console)
    started = time.monotonic()
    try:
        _pipeline(out, SCALES[scale], seed, stages)
        missed = _promises(out, SCALES[scale], console)
    except StageFailed as failure:
        console.print(str(failure), style="bold red")
        sys.exit(1)
    _summary(out, stages, time.monotonic() - started, console)
    if missed:
        console.print(f"not held: {', '.join(missed)}", style="bold red")
        sys.exit(1)


def _pipeline(out: Path, scale: Scale, seed: int, stages: Stages) -> None:
    build_labels(out, scale, seed, stages)
    world, router = out / "world", out / "router"
    train_routers(out, ROBUST, out, router, scale, stages)
    for budget, scales in BUDGETS.items():
        first = budget == next(iter(BUDGETS))  # the routers are the same at every budget, and measured once
        names = ("global_scale", "relevant_scale", "irrelevant_scale")
        stages.run(
            f"evaluate at equal tokens, budget {budget}", "eval", "run", "--config", "configs/eval/miniature.yaml",
            "--model", router, "--data", world, "--out", _evaluation(out, budget), "--budget", str(budget),
            *(part for name, value in zip(names, scales, strict=True) for part in (f"--scales.{name}", str(value))),
            "--limit", str(scale.answers), "--validation_limit", str(scale.answers // (2 if first else 5)),
            "--router_quality", str(first).lower(),
        )  # fmt: skip
    _answer_one(world, router, stages)


def _evaluation(out: Path, budget: int) -> Path:
    return out / f"eval-{budget}"


def _answer_one(world: Path, router: Path, stages: Stages) -> None:
    """Answer the world's last fragment question about a scene, as a user would."""
    with (world / "questions.jsonl").open(encoding="utf-8") as lines:
        question = [row for row in map(json.loads, lines) if row["task_type"] == "glyph_by_shape"][-1]
    stages.run(
        "answer a question", "routers", "answer", "--model", router, "--video", world / question["video"],
        "--question", question["question"], "--options", *question["options"], 
    )  # fmt: skip


def _promises(out: Path, scale: Scale, console: Console) -> list[str]:
    """Print every promised figure beside its bound; the names of those that were missed (none are held at tiny scale)."""
    labels = json.loads((out / "labels.json").read_text())
    routers = {
        row["split"]: row
        for row in json.loads((_evaluation(out, next(iter(BUDGETS))) / "summary.json").read_text())["routers"]
    }
    parity = _largest_score_difference(out / "router", out / "video-flr", out / "world")
    rows = [
        ("frame relevance F1 of built labels, held-out videos", _lowest(labels, "relevance_f1"), ">=", 0.97),
        ("policy accuracy of built labels, held-out videos", _lowest(labels, "policy_accuracy"), ">=", 0.97),
        ("Image Router AUROC within question, seen wordings", routers["val"]["image_auroc"], ">=", 0.85),
        ("Image Router AUROC within question, held-out wordings", routers["test"]["image_auroc"], "", None),
        ("Semantic Router accuracy, seen wordings", routers["val"]["policy_accuracy"], ">=", 0.95),
        ("Semantic Router accuracy, held-out wordings", routers["test"]["policy_accuracy"], "", None),
        ("largest score difference, shard frames and decoded frames", parity, "<=", 0.02),
    ]
    if scale.promised:
        control = _validation_figure(out / "control", "val/image_auroc")
        rows.append(("the same head without frames: AUROC - 0.5", abs(control - 0.5), "<=", 0.02))
    table = Table(title="promises" if scale.promised else "promises (a tiny run is not held to them)")
    for name in ("figure", "measured", "promised", "held"):
        table.add_column(name)
    missed = []
    for name, value, sign, bound in rows:
        held = bound is None or (value >= bound if sign == ">=" else value <= bound)
        table.add_row(
            name, f"{value:.4f}", "" if bound is None else f"{sign} {bound}", "" if bound is None else str(held)
        )
        if not held:
            missed.append(name)
    console.print(table)
    return missed if scale.promised else []


def _largest_score_difference(model: Path, shards: Path, videos: Path, split: str = "val", limit: int = 8) -> float:
    """Largest absolute difference of frame relevance over the questions of `limit` videos; 0 is perfect parity.

    Between JPEG frames from shards, as in training, and freshly decoded ones, as at run time.
    """
    from videorouter.routers.answering.video_router import VideoRouter
    from videorouter.shards.reader import ShardDataset
    from videorouter.video.decode import sample_frames

    router = VideoRouter.from_pretrained(model)
    config, backbone = router.config, router.backbone
    dataset = ShardDataset(shards, split=split)
    largest = 0.0
    for index in range(min(limit, len(dataset))):
        sample = dataset[index]
        fresh = sample_frames(
            videos / sample.video.uri, config.frames, sampler=config.sampler, size=backbone.frame_size
        )
        questions = [labelled.question.question for labelled in sample.questions]
        stored, decoded = (
            router.frame_relevance(backbone.encode_frames(frames), questions)
            for frames in (sample.frames(), fresh.frames)
        )
        largest = max(largest, float((stored - decoded).abs().max()))
    return largest


def _lowest(rows: list[dict[str, float | None]], name: str) -> float:
    """The lowest figure among those measured. Raises `StageFailed` where none was: nothing was labelled."""
    measured = [value for row in rows if (value := row[name]) is not None]
    if not measured:
        raise StageFailed(f"no held-out video carries a label to measure {name} by")
    return min(measured)


def _validation_figure(folder: Path, name: str) -> float:
    from videorouter.routers.checkpoints.trained_file import RECORD, read_record

    return read_record(checkpoint(folder))[RECORD]["metrics"][name]


def _summary(out: Path, stages: Stages, seconds: float, console: Console) -> None:
    table = Table(title=f"the main job took {seconds:.0f} s")
    table.add_column("stage")
    table.add_column("seconds", justify="right")
    for title, spent in stages.seconds.items():
        table.add_row(title, f"{spent:.1f}")
    console.print(table)
    console.print(_accuracies(out))
    for name, place in {
        "shards": f"{out / 'video-flr'}, {out / 'video-qtr'}",
        "checkpoints": f"{checkpoint(out / 'image-router')}, {checkpoint(out / 'semantic-router')}",
        "export": out / "router",
        "plot": _evaluation(out, next(iter(BUDGETS))) / "accuracy_against_tokens.png",
    }.items():
        console.print(f"{name}: {place}", soft_wrap=True, highlight=False)


def _accuracies(out: Path) -> Table:
    """Every system at both budgets: accuracy, its interval, tokens fed."""
    read = {
        budget: {
            row["system"]: row for row in json.loads((_evaluation(out, budget) / "summary.json").read_text())["systems"]
        }
        for budget in BUDGETS
    }
    any_row = next(iter(read[next(iter(BUDGETS))].values()))
    table = Table(title=f"accuracy on {any_row['items']} questions; guessing reaches {any_row['chance']:.2f}")
    table.add_column("system")
    for budget in BUDGETS:
        table.add_column(f"budget {budget}", justify="right")
        table.add_column("tokens", justify="right")
    for system in read[next(iter(BUDGETS))]:
        cells = []
        for rows in read.values():
            row = rows[system]
            cells += [f"{row['accuracy']:.3f} ({row['low']:.3f}-{row['high']:.3f})", f"{row['tokens_mean']:.0f}"]
        table.add_row(system, *cells)
    return table


def _clear(out: Path) -> None:
    if out.exists() and any(out.iterdir()):
        if not (out / MARKER).exists():
            raise ValueError(f"{out} is not empty and not an earlier demo's: choose another --out")
        shutil.rmtree(out)
    out.mkdir(parents=True, exist_ok=True)
    (out / MARKER).touch()
