"""What Video-QTR labels rest on: every question's category, some of each category probed, the winners."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from videorouter.data_builders.qtr.categories import categorise
from videorouter.data_builders.qtr.frames import FrameSource
from videorouter.data_builders.qtr.probe import ProbeConfig, Probed, probe
from videorouter.data_builders.qtr.probe_log import ProbeLog
from videorouter.data_builders.qtr.probers import Prober
from videorouter.data_builders.qtr.sample import is_for_training, to_probe
from videorouter.data_builders.qtr.side_by_side import side_by_side
from videorouter.data_builders.qtr.winners import BY_CATEGORY, CategoryOutcome, PolicyConfig, outcomes
from videorouter.data_builders.rejects import Reject
from videorouter.data_builders.replies import QuestionCategory
from videorouter.data_builders.teacher import Teacher, TeacherReplyError
from videorouter.shards.schema import VideoQuestion
from videorouter.shards.writer import write_atomically
from videorouter.video.errors import VideoError

PROBES = "probes.json"
UNFINISHED = "probed.jsonl"
COLUMNS = (
    TextColumn("{task.description}"),
    BarColumn(),
    MofNCompleteColumn(),
    TimeElapsedColumn(),
    TimeRemainingColumn(),
)


@dataclass(frozen=True)
class Probing:
    """Who answered; what was probed, by question id; the probes that failed; the outcomes of the training split by category."""

    prober: str
    probed: dict[str, Probed]
    failed: list[Reject]
    outcomes: dict[str, CategoryOutcome]


@dataclass(frozen=True)
class _Record:
    """The content of `probes.json`."""

    categories: dict[str, QuestionCategory]
    probing: Probing
    rejects: list[Reject]


async def decide(
    questions: Sequence[VideoQuestion],
    frames: FrameSource,
    teacher: Teacher,
    config: ProbeConfig,
    out: Path,
    policies: PolicyConfig = BY_CATEGORY,
) -> tuple[dict[str, QuestionCategory], Probing, list[Reject]]:
    """Categories by question id, what probing showed, and the questions without a category.

    Kept in `out/probes.json` and read back from there; until all is probed, `out/probed.jsonl` holds what is. At most
    `teacher.config.concurrency` videos are in memory.

    Raises `TeacherStopped`; `ValueError` for an unworkable budget or base, or a record that does not read.
    """
    kept = out / PROBES
    if kept.is_file():
        record = _read(kept)
        return record.categories, record.probing, record.rejects
    prober, log = config.prober(teacher), ProbeLog(out / UNFINISHED)
    with Progress(*COLUMNS, console=Console(markup=False, stderr=True), transient=True) as progress:
        task = progress.add_task("categories", total=len(questions))
        categories, rejects = await categorise(teacher, questions, lambda _: progress.advance(task))
        chosen = to_probe(questions, categories, config.per_category, every_split=policies.labels == "question")
        left = {video: [one for one in members if one.id not in log.found] for video, members in chosen.items()}
        bar = progress.add_task("probing", total=sum(map(len, left.values())))
        done = await _probe_all(left, frames, prober, teacher, config, log, lambda count: progress.advance(bar, count))
    by_id = log.found | {one.question: one for one in done if isinstance(one, Probed)}
    asked = [question for members in chosen.values() for question in members if question.id in by_id]
    probing = Probing(
        prober=prober.name,
        probed={question.id: by_id[question.id] for question in asked},
        failed=[one for one in done if isinstance(one, Reject)],
        outcomes=outcomes([by_id[question.id] for question in asked if is_for_training(question)], categories),
    )
    record = _Record(categories, probing, rejects)
    write_atomically(kept, TypeAdapter(_Record).dump_json(record, indent=1).decode())
    log.remove()
    return categories, probing, rejects


def _read(kept: Path) -> _Record:
    try:
        return TypeAdapter(_Record).validate_json(kept.read_bytes())
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise ValueError(f"{kept} does not read ({where}: {first['msg']}): remove it to probe again") from error


async def _probe_all(
    chosen: Mapping[str, Sequence[VideoQuestion]],
    frames: FrameSource,
    prober: Prober,
    judge: Teacher,
    config: ProbeConfig,
    log: ProbeLog,
    advance: Callable[[int], None],
) -> list[Probed | Reject]:
    async def probe_video(name: str) -> list[Probed | Reject]:
        try:
            video = await asyncio.to_thread(frames.prepare, name)
        except VideoError:
            return []  # the build itself meets this video again and puts it aside with its verdict
        answer = await prober.watch(video)

        async def probe_one(question: VideoQuestion) -> Probed | Reject:
            try:
                one = await probe(answer, judge, config, question, await frames.relevant(video, question))
                log.add(one)
                return one
            except TeacherReplyError as error:
                return Reject(question.id, "probe", error.verdict, str(error), error.raw)

        return await asyncio.gather(*(probe_one(question) for question in chosen[name]))

    by_video = await side_by_side(
        probe_video,
        [name for name in chosen if chosen[name]],
        judge.config.concurrency,
        lambda name: advance(len(chosen[name])),
    )
    return [one for video in by_video for one in video]
