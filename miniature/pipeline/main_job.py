"""The main job, as its user types it: labels from a teacher, both routers, the export - on a fresh miniature world."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from videorouter.miniature.pipeline.stages import Stages, running_teacher

THRESHOLD = "0.1"
"""On validation videos 0.974 of the evidence frames score above it, at 6.8 frames a question (0.777 above 0.5, at 1.8)."""
SCALES_EXPORTED = "[4, 1, 8]"
LABELLED = (0, 3)
"""Exit codes of a build that finished: everything labelled, or some items in quarantine."""


@dataclass(frozen=True)
class Scale:
    """How large the job is. `promised`: whether its figures are held to the promises (a tiny run only proves it works)."""

    videos: int
    questions: int
    image_epochs: int
    semantic_epochs: int
    answers: int
    promised: bool


ScaleName = Literal["full", "tiny"]
SCALES: dict[ScaleName, Scale] = {
    "full": Scale(videos=140, questions=24, image_epochs=30, semantic_epochs=48, answers=200, promised=True),
    "tiny": Scale(videos=6, questions=6, image_epochs=2, semantic_epochs=2, answers=6, promised=False),
}


def build_labels(out: Path, scale: Scale, seed: int, stages: Stages) -> None:
    """A world in `out`/world and its labels in `out`/video-flr and `out`/video-qtr, compared with the truth.

    Raises `StageFailed` naming the stage that ended otherwise than it should.
    """
    world, flr, qtr = out / "world", out / "video-flr", out / "video-qtr"
    splits = "[70, 12, 18]" if scale.promised else "[40, 30, 30]"
    stages.run(
        "render the world", "miniature", "world", "--out", world, "--videos", str(scale.videos), "--seconds", "60",
        "--seed", str(seed), "--questions_per_video", str(scale.questions), "--splits", splits,
    )  # fmt: skip
    with running_teacher() as url:
        stages.console.print(f"the teacher listens at {url}")
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
        "check the labels", "miniature", "check-labels", "--world", world, "--shards", json.dumps([str(flr), str(qtr)]),
        "--json_out", out / "labels.json",
    )  # fmt: skip


def train_routers(out: Path, base: Path, labels: Path, router: Path, scale: Scale, stages: Stages) -> None:
    """Train both routers over `base` from the shards in `labels` and export them to the folder `router`.

    Raises `StageFailed` as `build_labels` does.
    """
    flr, qtr = labels / "video-flr", labels / "video-qtr"
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
        "export", "routers", "export", "--checkpoint", checkpoint(out / "image-router"),
        checkpoint(out / "semantic-router"), "--out", router, "--threshold", THRESHOLD, "--scales", SCALES_EXPORTED,
    )  # fmt: skip


def checkpoint(folder: Path) -> Path:
    """The best checkpoint of a training folder."""
    return folder / "checkpoints" / "best.ckpt"


def _train(
    stages: Stages, title: str, config: str, folder: Path, base: Path, shards: Path, epochs: int, *options: str
) -> None:
    stages.run(
        title, "train", "fit", "--config", f"configs/miniature/{config}.yaml", "--model.init_args.base", base,
        "--data.init_args.shards", shards, "--trainer.max_epochs", str(epochs),
        "--trainer.check_val_every_n_epoch", str(max(1, epochs // 4)), "--out", folder, *options,
    )  # fmt: skip
