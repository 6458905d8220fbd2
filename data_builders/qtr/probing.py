"""What Video-QTR labels rest on: every question's category, some of each category probed, the outcomes."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from videorouter.data_builders.building.plan import UNSPLIT
from videorouter.data_builders.building.rehearsal import TRIED, Rehearsal, show
from videorouter.data_builders.flr.annotate import SCORES
from videorouter.data_builders.qtr.frame_source import FrameSource
from videorouter.data_builders.qtr.outcomes import BY_CATEGORY, PROBES, PolicyConfig, Probing, outcomes
from videorouter.data_builders.qtr.probe import ProbeConfig, Probed, Prober, TeacherProber, UnworkableBudget, probe
from videorouter.data_builders.qtr.probe_record import UNFINISHED, ProbeLog, ProbeRecord
from videorouter.data_builders.rejects import Reject, reject_of
from videorouter.data_builders.teacher.answering import ANSWER, JUDGE
from videorouter.data_builders.teacher.concurrency import map_concurrently
from videorouter.data_builders.teacher.replies import Category, QuestionCategory
from videorouter.data_builders.teacher.request import load_prompt
from videorouter.data_builders.teacher.sent import together
from videorouter.data_builders.teacher.teacher import Teacher
from videorouter.shards.schema import VideoQuestion
from videorouter.video.errors import VideoError

CATEGORY = load_prompt("question_category")
KINDS = (CATEGORY.name, SCORES.name, ANSWER.name, JUDGE.name)
"""The kinds of request that probing may send."""
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

    Raises `TeacherStopped`, with nothing of what it put aside on disk; `ValueError` for an unworkable budget or base, or a record
    that does not read.
    """
    kept = out / PROBES
    if kept.is_file():
        record = ProbeRecord.read(kept)
        return record.categories, record.probing, record.rejects
    prober, log = _prober(config, teacher), ProbeLog(out / UNFINISHED)
    every_split = policies.labels == "question"
    await _rehearse(questions, frames, prober, teacher, config, log, every_split)
    with Progress(*COLUMNS, console=Console(markup=False, stderr=True), transient=True) as progress:
        task = progress.add_task("categories", total=len(questions))
        categories, rejects = await categorise(teacher, questions, lambda _: progress.advance(task))
        chosen = to_probe(questions, categories, config.per_category, every_split)
        left = {video: [one for one in members if one.id not in log.found] for video, members in chosen.items()}
        bar = progress.add_task("probing", total=sum(map(len, left.values())))
        done = await _probe_all(left, frames, prober, teacher, config, log, lambda count: progress.advance(bar, count))
    teacher.streaks.finish()
    by_id = log.found
    asked = [question for members in chosen.values() for question in members if question.id in by_id]
    probing = Probing(
        prober=prober.name,
        probed={question.id: by_id[question.id] for question in asked},
        failed=[one for one in done if isinstance(one, Reject)],
        outcomes=outcomes([by_id[question.id] for question in asked if is_for_training(question)], categories),
    )
    ProbeRecord(categories, probing, rejects).write(kept)
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
            about = teacher.about(question.video)
            return await about.ask(text, [], QuestionCategory, lambda reply: reply, CATEGORY.name)
        except Exception as error:
            return reject_of(question.id, "category", error)

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
        if _may_be_probed(question, every_split) and question.id in categories:
            groups[question.split or UNSPLIT, categories[question.id].category].append(question)
    chosen: dict[str, list[VideoQuestion]] = defaultdict(list)
    for members in groups.values():
        count = min(per_category, len(members))
        for position in range(count):
            question = members[position * len(members) // count]
            chosen[question.video].append(question)
    return chosen


def _may_be_probed(question: VideoQuestion, every_split: bool) -> bool:
    return (every_split or is_for_training(question)) and question.answer is not None


def is_for_training(question: VideoQuestion) -> bool:
    """Whether it may take part in a category's decision: held-out questions never do."""
    return (question.split or UNSPLIT) == UNSPLIT


def _prober(config: ProbeConfig, teacher: Teacher) -> Prober:
    """Who answers. Raises `ValueError` or what transformers raises for a local base that does not load."""
    if config.local_base is None:
        return TeacherProber(teacher)
    from videorouter.data_builders.qtr.local_prober import LocalProber  # torch takes seconds to import

    return LocalProber(config.local_base, config.device, config.tokens_per_frame)


async def _rehearse(
    questions: Sequence[VideoQuestion],
    frames: FrameSource,
    prober: Prober,
    teacher: Teacher,
    config: ProbeConfig,
    log: ProbeLog,
    every_split: bool,
) -> None:
    """Every kind of request is met with one video before others are paid for; while it is refused, with the next, too.

    The first question that can be probed is the first of its category, and so one that is probed anyway.
    """
    rehearsal = Rehearsal(KINDS)
    by_video: dict[str, list[VideoQuestion]] = defaultdict(list)
    for question in questions:
        by_video[question.video].append(question)
    videos = dict.fromkeys(one.video for one in questions if _may_be_probed(one, every_split))
    for video in list(videos)[:TRIED]:
        categories, _ = await categorise(teacher, by_video[video])
        first = [one for one in by_video[video] if one.id in categories and _may_be_probed(one, every_split)][:1]
        left = {video: [one for one in first if one.id not in log.found]}
        probed = await _probe_all(left, frames, prober, teacher, config, log, lambda _: None)
        if left[video] and not probed:
            continue  # its frames cannot be read
        rehearsal.hear(video, teacher)
        if rehearsal.over:
            break
    rehearsal.sent = together([teacher.sent])
    show(rehearsal)


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
            answer = await prober.load(video)
        except VideoError:
            return []  # the build itself meets this video again and puts it aside with its verdict
        except Exception as error:
            return [reject_of(question.id, "probe", error) for question in chosen[name]]

        async def probe_one(question: VideoQuestion) -> Probed | Reject:
            try:
                one = await probe(answer, judge, config, question, await frames.relevant(video, question))
            except UnworkableBudget:
                raise
            except Exception as error:
                return reject_of(question.id, "probe", error)
            log.add(one)
            return one

        return await asyncio.gather(*(probe_one(question) for question in chosen[name]))

    by_video = await map_concurrently(
        probe_video,
        [name for name in chosen if chosen[name]],
        judge.config.concurrency,
        lambda name: advance(len(chosen[name])),
    )
    return [one for video in by_video for one in video]
