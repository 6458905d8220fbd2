"""`videorouter miniature ship`: bases just trained become the shipped ones, each with routers from the ordinary trainers."""

import shutil
import sys
from pathlib import Path

from rich.console import Console

from videorouter.miniature.bases import SHIPPED
from videorouter.miniature.pipeline.main_job import SCALES, ScaleName, build_labels, train_routers
from videorouter.miniature.pipeline.stages import StageFailed, Stages
from videorouter.miniature.pretraining.recipe import STAGES


def ship(
    trained: Path = Path("runs/miniature-base"),
    work: Path = Path("runs/miniature-routers"),
    out: Path = SHIPPED,
    scale: ScaleName = "full",
    seed: int = 0,
) -> None:
    """Copy trained bases to `out`, train routers on each from one set of labels, and put their folder beside it.

    Args:
        trained: Folder that `train-base` wrote.
        work: Folder for the worlds, labels and checkpoints of the routers; replaced.
        out: Folder to write: dense/, robust/, dense-router/, robust-router/; replaced.
        scale: Of the main job.
        seed: Of the world the routers learn on.

    Raises:
        FileNotFoundError: where `trained` lacks a base.
    """
    for name in STAGES:
        if not (trained / name / "config.json").is_file():
            raise FileNotFoundError(
                f"{trained / name} holds no base: run `videorouter miniature train-base --out {trained}`"
            )
    shutil.rmtree(work, ignore_errors=True)
    stages = Stages(Console(markup=False))
    try:
        build_labels(work, SCALES[scale], seed, stages)
        for name in STAGES:
            base = out / name
            shutil.rmtree(base, ignore_errors=True)
            shutil.copytree(trained / name, base)
            router = out / f"{name}-router"
            shutil.rmtree(router, ignore_errors=True)
            train_routers(work / name, base, work, router, SCALES[scale], stages)
    except StageFailed as failure:
        stages.console.print(str(failure), style="bold red")
        sys.exit(1)
