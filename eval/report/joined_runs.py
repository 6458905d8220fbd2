"""Several run folders as one: items, videos and answers in an order that does not depend on the order of lines in the files."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from videorouter.eval.benchmarks.items import Item
from videorouter.eval.run_folder import Cell, Failure, Prediction, RunFolder, SampledVideo, read_run


class Contender(NamedTuple):
    """What is compared: a system on a base model."""

    model: str
    system: str


@dataclass(frozen=True)
class JoinedRuns:
    """Answers by cell and contender, in the order of the benchmark's items; cells, contenders and failures sorted.

    `runs` holds every run's folder and manifest, `items` are by benchmark and id, `videos` by benchmark, name of the video, and
    frames sampled.
    """

    runs: Sequence[tuple[Path, dict[str, Any]]]
    items: dict[str, dict[str, Item]]
    videos: dict[tuple[str, str, int], SampledVideo]
    answers: dict[Cell, dict[Contender, list[Prediction]]]
    failures: list[Failure]

    @property
    def contenders(self) -> list[Contender]:
        """All of them, sorted."""
        return sorted({contender for made in self.answers.values() for contender in made})

    def label(self, contender: Contender) -> str:
        """The contender's name; the model is part of it where there are several models."""
        several = len({contender.model for contender in self.contenders}) > 1
        return f"{contender.system} on {contender.model}" if several else contender.system


def join_runs(folders: Sequence[Path]) -> JoinedRuns:
    """Read runs and join them.

    Raises `ValueError` for a folder without a finished run, an item that two runs know differently, an answer to an unknown
    item, a question that a contender answered twice, and runs without any answer.
    """
    runs = [read_run(folder) for folder in folders]
    items = _items(runs)
    made: dict[tuple[Cell, Contender, str], tuple[Prediction, Path]] = {}
    for run in runs:
        for prediction in run.predictions:
            if prediction.item not in items.get(prediction.benchmark, {}):
                raise ValueError(
                    f"{run.path} holds an answer to {prediction.item!r} of {prediction.benchmark}, which is not among its "
                    "items: the folder is not as the run left it, run anew"
                )
            key = (prediction.cell, Contender(prediction.model, prediction.system), prediction.item)
            if key in made:
                raise ValueError(
                    f"{prediction.system} on {prediction.model} answered {prediction.item!r} of {prediction.benchmark} at "
                    f"{prediction.sampled} frames and cap {prediction.cap} in {made[key][1]} and again in {run.path}: "
                    "give one of them"
                )
            made[key] = (prediction, run.path)
    if not made:
        raise ValueError(f"no answer in {', '.join(map(str, folders))}: nothing to report")
    place = {(benchmark, id_): number for benchmark, known in items.items() for number, id_ in enumerate(known)}
    answers: dict[Cell, dict[Contender, list[Prediction]]] = {}
    for key in sorted(made, key=lambda key: (*key[:2], place[key[0].benchmark, key[2]])):
        answers.setdefault(key[0], {}).setdefault(key[1], []).append(made[key][0])
    return JoinedRuns(
        [(run.path, run.manifest) for run in runs],
        items,
        {(video.benchmark, Path(video.video).name, video.sampled): video for run in runs for video in run.videos},
        answers,
        sorted((failure for run in runs for failure in run.failures), key=str),
    )


def _items(runs: Iterable[RunFolder]) -> dict[str, dict[str, Item]]:
    items: dict[str, dict[str, Item]] = {}
    for run in runs:
        for benchmark, those in run.items.items():
            known = items.setdefault(benchmark, {})
            for item in those:
                if known.setdefault(item.id, item) != item:
                    raise ValueError(
                        f"item {item.id!r} of {benchmark} is another question in {run.path} than in a run before it: "
                        "report them apart"
                    )
    return items
