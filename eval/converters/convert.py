"""`eval convert`: files of another toolkit become a run folder; what they do not tell stays unknown."""

import hashlib
from collections import Counter
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final, Literal

from videorouter.eval.benchmarks.items import Item
from videorouter.eval.converters import lmms_eval, vlmevalkit
from videorouter.eval.converters.foreign_answers import ForeignAnswer, KnownItems, Reading, UnreadableError, item_of
from videorouter.eval.run_folder import (
    FAILURES,
    ITEMS,
    MANIFEST,
    PREDICTIONS,
    VIDEOS,
    Failure,
    Prediction,
    append_predictions,
    item_row,
    kind_by_name,
    read_run,
    write_manifest,
    write_rows,
)
from videorouter.routers.answering.parser import parse_choice

Toolkit = Literal["lmms_eval", "vlmevalkit"]
READERS: Final = {"lmms_eval": lmms_eval.read, "vlmevalkit": vlmevalkit.read}


@dataclass
class ConvertConfig:
    """One conversion.

    Args:
        toolkit: who wrote the files
        files: samples and results of lmms-eval, or result tables of VLMEvalKit, all of one model and benchmark
        benchmark: benchmark's name in the report
        model: base model's name in the report
        out: run folder to write; must not exist yet
        frames: how many frames that run sampled of a video: it is shown beside our runs of as many
        cap: how many visual tokens it fed at most a question: it is shown beside our runs of that cap
        system: system's name in the report
        beside: run folder of ours whose items were answered; they are found by their words
    """

    toolkit: Toolkit
    files: list[Path]
    benchmark: str
    model: str
    out: Path
    frames: int
    cap: int
    system: str = "dense"
    beside: Path | None = None


@dataclass(frozen=True)
class Conversion:
    """What became of the files' lines. `disagreements`: our parser finds right what the toolkit found wrong, or the reverse."""

    lines: int
    predictions: int
    failures: int
    broken: dict[str, int]
    judged: int
    disagreements: int

    def __str__(self) -> str:
        broken = "".join(f"\n  {count} left out: {reason}" for reason, count in sorted(self.broken.items()))
        return (
            f"{self.lines} lines: {self.predictions} answers, {self.failures} without an answer, "
            f"{sum(self.broken.values())} left out{broken}\n"
            f"the toolkit judged {self.judged} of the answers, {self.disagreements} otherwise than our parser"
        )


def convert(config: ConvertConfig) -> Conversion:
    """Read, match and write. Raises `ValueError` for an output that exists, files of another form, or none that can be used."""
    if config.out.exists():
        raise ValueError(f"{config.out} exists already: choose another --out, runs are never mixed")
    if missing := [file for file in config.files if not file.is_file()]:
        raise ValueError(f"{missing[0]} is not a file: give files that {config.toolkit} wrote")
    reading = READERS[config.toolkit](config.files)
    known = _known_items(config)
    broken = Counter(reading.broken)
    matched: dict[str, tuple[Item, ForeignAnswer]] = {}
    for answer in reading.answers:
        try:
            item = item_of(answer) if known is None else known.find(answer)
            if item.id in matched:
                raise UnreadableError("its question was answered before")
            matched[item.id] = item, answer
        except UnreadableError as reason:
            broken[str(reason)] += 1
    if not matched:
        told = "; ".join(f"{count} lines: {reason}" for reason, count in broken.items()) or "they are empty"
        raise ValueError(
            f"{', '.join(map(str, config.files))}: no line can be used ({told}). Where videos are not named, "
            "give a run of ours on the same questions as --beside"
        )
    return _write(config, reading, list(matched.values()), dict(broken))


def _known_items(config: ConvertConfig) -> KnownItems | None:
    if config.beside is None:
        return None
    items = read_run(config.beside).items
    if config.benchmark not in items:
        raise ValueError(f"{config.beside} has no benchmark {config.benchmark!r}: it has {', '.join(items)}")
    return KnownItems(items[config.benchmark])


def _write(
    config: ConvertConfig, reading: Reading, matched: list[tuple[Item, ForeignAnswer]], broken: dict[str, int]
) -> Conversion:
    answered = [(item, answer) for item, answer in matched if answer.text is not None]
    predictions = [_prediction(config, item, answer.text or "") for item, answer in answered]
    failures = [_failure(config, item) for item, answer in matched if answer.text is None]
    judged = [(p.correct, answer.right) for p, (_, answer) in zip(predictions, answered, strict=True)]
    made = Conversion(
        reading.lines,
        len(predictions),
        len(failures),
        broken,
        sum(right is not None for _, right in judged),
        sum(right is not None and correct != right for correct, right in judged),
    )
    config.out.mkdir(parents=True)
    write_rows(config.out / ITEMS, [item_row(config.benchmark, item) for item, _ in matched])
    write_rows(config.out / VIDEOS, [])
    write_rows(config.out / FAILURES, [asdict(failure) for failure in failures])
    write_manifest(
        config.out / MANIFEST,
        {
            "converted_from": config.toolkit,
            "files": {str(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in config.files},
            "benchmark": config.benchmark,
            "model": config.model,
            "system": config.system,
            "frames": config.frames,
            "cap": config.cap,
            "beside": None if config.beside is None else str(config.beside),
            "lines": asdict(made),
            "told": reading.about,
            "videorouter": version("videorouter"),
        },
    )
    append_predictions(config.out / PREDICTIONS, predictions)
    return made


def _prediction(config: ConvertConfig, item: Item, text: str) -> Prediction:
    return Prediction(
        benchmark=config.benchmark,
        item=item.id,
        video=item.video.name,
        group=item.group,
        model=config.model,
        system=config.system,
        sampled=config.frames,
        cap=config.cap,
        budget=None,
        tokens=None,
        frames=[],
        indices=[],
        tokens_by_frame=[],
        relevance=None,
        policy=None,
        prompt=config.toolkit,
        text=text,
        choice=parse_choice(text, item.options),
        answer=item.answer,
        options=len(item.options),
        seconds_by_stage={},
        kind=kind_by_name(config.system),
    )


def _failure(config: ConvertConfig, item: Item) -> Failure:
    error = f"{config.toolkit} got no answer"
    return Failure(
        config.benchmark, item.id, item.video.name, config.model, config.system, config.frames, config.cap, error
    )
