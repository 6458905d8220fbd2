"""The main job in miniature: build labels, train both routers, export, evaluate, answer - through the doors a user has."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.request import urlopen

from rich.console import Console
from rich.table import Table

from miniature.stages import StageFailed, Stages, quiet_environment

MARKER = ".videorouter-demo"
LABELLED = (0, 3)
"""Exit codes of a build that finished: everything labelled, or some items in quarantine."""


@dataclass(frozen=True)
class Scale:
    """How large the demo is. `promised`: whether its figures are held to the promises (a tiny run only proves it works)."""

    videos: int
    questions: int
    image_epochs: int
    semantic_epochs: int
    answers: int
    promised: bool


SCALES = {
    "full": Scale(videos=140, questions=24, image_epochs=50, semantic_epochs=10, answers=200, promised=True),
    "tiny": Scale(videos=6, questions=6, image_epochs=2, semantic_epochs=2, answers=6, promised=False),
}


def demo(out: Path = Path("runs/demo"), scale: Literal["full", "tiny"] = "full", seed: int = 0) -> None:
    """Run the main job on a fresh miniature world: world, base, teacher, builders, training, export, evaluation, answer.

    Args:
        out: Folder for everything; an earlier demo's folder is replaced.
        scale: `tiny` shows in seconds that everything works; `full` is held to the promised figures.
        seed: Of the world.

    Raises:
        ValueError: where `out` is not empty and not an earlier demo's.
    """
    console = Console()
    _clear(out)
    stages = Stages(console)
    started = time.monotonic()
    try:
        _pipeline(out, SCALES[scale], seed, stages)
        missed = _promises(out, SCALES[scale], console)
    except StageFailed as failure:
        console.print(f"[bold red]{failure}")
        sys.exit(1)
    _summary(out, stages, time.monotonic() - started, console)
    if missed:
        console.print(f"[bold red]not held: {', '.join(missed)}")
        sys.exit(1)


def _pipeline(out: Path, scale: Scale, seed: int, stages: Stages) -> None:
    world, base, router = out / "world", out / "base", out / "router"
    flr, qtr = out / "video-flr", out / "video-qtr"
    splits = "[70, 12, 18]" if scale.promised else "[40, 30, 30]"
    stages.run(
        "render the world", "miniature", "world", "--out", world, "--videos", str(scale.videos), "--seconds", "60",
        "--seed", str(seed), "--questions_per_video", str(scale.questions), "--splits", splits,
    )  # fmt: skip
    stages.run("write a random base", "miniature", "base", "--out", base)
    with _teacher(stages.console) as url:
        source = ("--questions", world / "questions.jsonl", "--videos", world, "--teacher.base_url", url)
        stages.run(
            "build Video-FLR", "data_builders", "flr", "annotate", "--config", "configs/miniature/flr_annotate.yaml",
            *source, "--out", flr, accepted=LABELLED,
        )  # fmt: skip
        stages.run(
            "build Video-QTR", "data_builders", "qtr", "--config", "configs/miniature/qtr.yaml",
            *source, "--relevance", flr, "--out", qtr, accepted=LABELLED,
        )  # fmt: skip
    stages.run(
        "check the labels", "miniature", "check-labels", "--world", world, "--shards", f"[{flr}, {qtr}]",
        "--json_out", out / "labels.json",
    )  # fmt: skip
    _train(stages, "train the Image Router", "image_router", out / "image-router", base, flr, scale.image_epochs)
    if scale.promised:
        _train(
            stages, "control: the same head without frames", "image_router", out / "control", base, flr, 1,
            "--model.init_args.inputs", "question",
        )  # fmt: skip
    _train(
        stages,
        "train the Semantic Router",
        "semantic_router",
        out / "semantic-router",
        base,
        qtr,
        scale.semantic_epochs,
    )
    stages.run(
        "export", "routers", "export", "--checkpoint", _checkpoint(out / "image-router"),
        _checkpoint(out / "semantic-router"), "--out", router,
    )  # fmt: skip
    stages.run(
        "evaluate at equal tokens", "eval", "run", "--config", "configs/eval/miniature.yaml", "--model", router,
        "--data", world, "--out", out / "eval", "--limit", str(scale.answers), "--validation_limit", str(scale.answers),
    )  # fmt: skip
    _answer_one(world, router, stages)


def _train(
    stages: Stages, title: str, config: str, folder: Path, base: Path, shards: Path, epochs: int, *options: str
) -> None:
    stages.run(
        title, "train", "fit", "--config", f"configs/miniature/{config}.yaml", "--model.init_args.base", base,
        "--data.init_args.shards", shards, "--trainer.max_epochs", str(epochs),
        "--trainer.check_val_every_n_epoch", str(max(1, epochs // 4)), "--out", folder, *options,
    )  # fmt: skip


def _checkpoint(folder: Path) -> Path:
    return folder / "checkpoints" / "best.ckpt"


def _answer_one(world: Path, router: Path, stages: Stages) -> None:
    """Answer the world's last fragment question about a scene, as a user would."""
    with (world / "questions.jsonl").open(encoding="utf-8") as lines:
        question = [row for row in map(json.loads, lines) if row["task_type"] == "glyph_by_shape"][-1]
    stages.run(
        "answer a question", "routers", "answer", "--model", router, "--video", world / question["video"],
        "--question", question["question"], "--options", *question["options"], 
    )  # fmt: skip


@contextmanager
def _teacher(console: Console) -> Iterator[str]:
    """A miniature teacher on a free loopback port, for as long as the block runs."""
    process = subprocess.Popen(
        [sys.executable, "-m", "miniature", "teacher", "--port", "0"],
        stdout=subprocess.PIPE, text=True, env=quiet_environment(),
    )  # fmt: skip
    try:
        assert process.stdout is not None
        address = next((line.split()[-1] for line in process.stdout if "http://" in line), None)
        if address is None:
            raise StageFailed(
                "the miniature teacher did not start: run `python -m miniature teacher --port 0` to see why"
            )
        urlopen(f"{address.removesuffix('/v1')}/health", timeout=30).close()
        console.print(f"the teacher listens at {address}")
        yield address
    finally:
        process.terminate()
        process.wait(timeout=30)


def _promises(out: Path, scale: Scale, console: Console) -> list[str]:
    """Print every promised figure beside its bound; the names of those that were missed (none are held at tiny scale)."""
    from miniature.frame_consistency import largest_score_difference

    labels = json.loads((out / "labels.json").read_text())
    routers = {row["split"]: row for row in json.loads((out / "eval" / "summary.json").read_text())["routers"]}
    parity = largest_score_difference(out / "router", out / "video-flr", out / "world")
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


def _lowest(rows: list[dict[str, float | None]], name: str) -> float:
    """The lowest figure among those measured. Raises `StageFailed` where none was: nothing was labelled."""
    measured = [value for row in rows if (value := row[name]) is not None]
    if not measured:
        raise StageFailed(f"no held-out video carries a label to measure {name} by")
    return min(measured)


def _validation_figure(folder: Path, name: str) -> float:
    import torch

    return torch.load(_checkpoint(folder), map_location="cpu", weights_only=True)["videorouter"]["metrics"][name]


def _summary(out: Path, stages: Stages, seconds: float, console: Console) -> None:
    table = Table(title=f"the main job took {seconds:.0f} s")
    table.add_column("stage")
    table.add_column("seconds", justify="right")
    for title, spent in stages.seconds.items():
        table.add_row(title, f"{spent:.1f}")
    console.print(table)
    console.print(
        "The base has random weights: answer accuracy above is chance. Labels, router quality and tokens are real."
    )
    for name, place in {
        "shards": f"{out / 'video-flr'}, {out / 'video-qtr'}",
        "checkpoints": f"{_checkpoint(out / 'image-router')}, {_checkpoint(out / 'semantic-router')}",
        "export": out / "router",
        "plot": out / "eval" / "accuracy_against_tokens.png",
    }.items():
        console.print(f"{name}: {place}", soft_wrap=True, highlight=False)


def _clear(out: Path) -> None:
    if out.exists() and any(out.iterdir()):
        if not (out / MARKER).exists():
            raise ValueError(f"{out} is not empty and not an earlier demo's: choose another --out")
        shutil.rmtree(out)
    out.mkdir(parents=True, exist_ok=True)
    (out / MARKER).touch()
