"""What Video-QTR labels rest on: every question's category, some of each category probed, the outcomes."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from pydantic import TypeAdapter, ValidationError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from videorouter.data_builders.building.plan import UNSPLIT
from videorouter.data_builders.qtr.frame_source import FrameSource
from videorouter.data_builders.qtr.outcomes import BY_CATEGORY, PROBES, PolicyConfig, Probing, outcomes
from videorouter.data_builders.qtr.probe import ProbeConfig, Probed, Prober, TeacherProber, probe
from videorouter.data_builders.rejects import Reject
from videorouter.data_builders.teacher.concurrency import map_concurrently
from videorouter.data_builders.teacher.errors import TeacherReplyError
from videorouter.data_builders.teacher.replies import Category, QuestionCategory
from videorouter.data_builders.teacher.request import load_prompt
from videorouter.data_builders.teacher.teacher import Teacher
from videorouter.shards.schema import VideoQuestion
from videorouter.shards.writer import write_atomically
from videorouter.video.errors import VideoError

CATEGORY = load_prompt("question_category")
UNFINISHED = "probed.jsonl"
_PROBED = TypeAdapter(Probed)
COLUMNS = (
    TextColumn("{task.description}"),
    BarColumn(),
    MofNCompleteColumn(),
    TimeElapsedColumn(),
    TimeRemainingColumn(),
)


async def run_probing(
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
    prober, log = _prober(config, teacher), ProbeLog(out / UNFINISHED)
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


async def categorise(
    teacher: Teacher, questions: Sequence[VideoQuestion], finished: Callable[[VideoQuestion], None] = lambda _: None
) -> tuple[dict[str, QuestionCategory], list[Reject]]:
    """Category and reason by question id, and the questions whose replies were no category.

    `finished` is called after each question. Raises `TeacherStopped`.
    """

    async def ask(question: VideoQuestion) -> QuestionCategory | Reject:
        text = CATEGORY.fill({"question": question.question, "categories": listed})
        try:
            return await teacher.ask(text, [], QuestionCategory, lambda reply: reply)
        except TeacherReplyError as error:
            return Reject(question.id, "category", error.verdict, str(error), error.raw)

    listed = "\n".join(f"- {category.value}" for category in Category)
    replies = await map_concurrently(ask, questions, teacher.config.concurrency, finished)
    categories = {q.id: r for q, r in zip(questions, replies, strict=True) if isinstance(r, QuestionCategory)}
    return categories, [reply for reply in replies if isinstance(reply, Reject)]


async def probe_unrecorded(
    chosen: Mapping[str, Sequence[VideoQuestion]],
    frames: FrameSource,
    prober: Prober,
    judge: Teacher,
    config: ProbeConfig,
) -> list[Probed | Reject]:
    """Probe questions by video as a build does, and keep no more than the answers. Raises as `run_probing`."""
    with TemporaryDirectory() as folder:
        return await _probe_all(
            chosen, frames, prober, judge, config, ProbeLog(Path(folder) / UNFINISHED), lambda _: None
        )


def make_prober(config: ProbeConfig, teacher: Teacher) -> Prober:
    """Who answers. Raises as `run_probing`."""
    return _prober(config, teacher)


def to_probe(
    questions: Sequence[VideoQuestion],
    categories: Mapping[str, QuestionCategory],
    per_category: int,
    every_split: bool = False,
) -> dict[str, list[VideoQuestion]]:
    """At most `per_category` questions a category by video, from the training split alone or as many from every split."""
    groups: dict[tuple[str, Category], list[VideoQuestion]] = defaultdict(list)
    for question in questions:
        wanted = every_split or is_for_training(question)
        if wanted and question.answer is not None and question.id in categories:
            groups[question.split or UNSPLIT, categories[question.id].category].append(question)
    chosen: dict[str, list[VideoQuestion]] = defaultdict(list)
    for members in groups.values():
        count = min(per_category, len(members))
        for position in range(count):
            question = members[position * len(members) // count]
            chosen[question.video].append(question)
    return chosen


def is_for_training(question: VideoQuestion) -> bool:
    """Whether it may take part in a category's decision: held-out questions never do."""
    return (question.split or UNSPLIT) == UNSPLIT


class ProbeLog:
    """Probes as they come, one a line of the file `path`, so that a build that was killed repeats none of them.

    `found` holds what it knew when it was opened, by question id.
    """

    def __init__(self, path: Path) -> None:
        """A line that does not read (the last one before a kill) is taken out: its question is probed again."""
        self.path = path
        self.found: dict[str, Probed] = {}
        for line in path.read_bytes().splitlines() if path.is_file() else []:
            try:
                one = _PROBED.validate_json(line)
            except ValidationError:
                continue
            self.found[one.question] = one
        if path.is_file():
            write_atomically(path, "".join(_line(one) for one in self.found.values()))

    def add(self, one: Probed) -> None:
        """Keep one more."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(_line(one))

    def remove(self) -> None:
        """All of it is kept in `probes.json` now."""
        self.path.unlink(missing_ok=True)


@dataclass(frozen=True)
class _Record:
    """The content of `probes.json`."""

    categories: dict[str, QuestionCategory]
    probing: Probing
    rejects: list[Reject]


def _read(kept: Path) -> _Record:
    try:
        return TypeAdapter(_Record).validate_json(kept.read_bytes())
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise ValueError(f"{kept} does not read ({where}: {first['msg']}): remove it to probe again") from error


def _prober(config: ProbeConfig, teacher: Teacher) -> Prober:
    """Who answers. Raises `ValueError` or what transformers raises for a local base that does not load."""
    if config.local_base is None:
        return TeacherProber(teacher)
    from videorouter.data_builders.qtr.local_prober import LocalProber  # torch takes seconds to import

    return LocalProber(config.local_base, config.device, config.tokens_per_frame)


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
        answer = await prober.load(video)

        async def probe_one(question: VideoQuestion) -> Probed | Reject:
            try:
                one = await probe(answer, judge, config, question, await frames.relevant(video, question))
                log.add(one)
                return one
            except TeacherReplyError as error:
                return Reject(question.id, "probe", error.verdict, str(error), error.raw)

        return await asyncio.gather(*(probe_one(question) for question in chosen[name]))

    by_video = await map_concurrently(
        probe_video,
        [name for name in chosen if chosen[name]],
        judge.config.concurrency,
        lambda name: advance(len(chosen[name])),
    )
    return [one for video in by_video for one in video]


def _line(one: Probed) -> str:
    return _PROBED.dump_json(one).decode() + "\n"
