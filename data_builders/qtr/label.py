"""The Video-QTR builder: categorise every question, probe some of each category, label all by their category's winner."""

import asyncio
import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from data_builders.flr.annotate import TeacherLabeller
from data_builders.jobs import UNSPLIT, VideoJob
from data_builders.labelling import Labelled, label_each
from data_builders.qtr.categories import PROMPT as CATEGORY_PROMPT
from data_builders.qtr.categories import categorise
from data_builders.qtr.probe import ProbeConfig, Probed, probe
from data_builders.qtr.winners import CategoryOutcome, outcomes
from data_builders.rejects import Reject
from data_builders.teacher import Teacher, TeacherReplyError
from data_builders.videos import PreparedVideo, VideoFolder
from shards import ShardSample
from shards.catalogue import Catalogue
from shards.place import read_labels, read_record, read_sample
from shards.schema import LabelledQuestion, VideoQuestion
from shards.writer import write_atomically
from video.errors import VideoError

PROBES = "probes.json"


class FrameSource:
    """Prepared videos and known relevance: from an earlier Video-FLR build where it has them, else decoded and scored."""

    def __init__(self, videos: VideoFolder, scorer: TeacherLabeller, relevance: Path | None) -> None:
        """Raises `ShardError` for shards that do not read, `ValueError` for shards with other frames than `videos` takes."""
        self.videos = videos
        self.scorer = scorer
        self._sample: dict[str, Callable[[], ShardSample]] = {}
        self._relevant: dict[str, list[bool]] = {}
        if relevance:
            self._read(relevance)

    def _read(self, relevance: Path) -> None:
        catalogue = Catalogue(relevance)
        wanted = (self.videos.config.frames, self.videos.config.frame_size, self.videos.config.sampler)
        for place in catalogue.places:
            video = read_record(catalogue.storage, place)
            found = (place.entry.frames, video.height, video.sampler)
            if found != wanted:
                raise ValueError(
                    f"{relevance} holds (frames, frame_size, sampler) = {found} of {video.uri}, this build takes "
                    f"{wanted}: give the options of that build, or leave --relevance out"
                )
            self._sample[video.uri] = partial(read_sample, catalogue.storage, place)
            labelled = read_labels(catalogue.storage, place)
            self._relevant |= {q.question.id: q.relevance.relevant for q in labelled if q.relevance}

    def prepare(self, video: str) -> PreparedVideo:
        """Raises `VideoError`."""
        if video in self._sample:
            sample = self._sample[video]()
            return PreparedVideo(sample.video, sample.jpegs)
        return self.videos.prepare(video)

    async def relevant(self, video: PreparedVideo, question: VideoQuestion) -> list[bool]:
        """Known labels, or the teacher's scores against its threshold."""
        if question.id in self._relevant:
            return self._relevant[question.id]
        scores = await self.scorer.score(video, question)
        return [score >= self.scorer.config.threshold for score in scores]


class PolicyLabeller:
    """Labels a question by the outcome of its category."""

    def __init__(
        self,
        frames: FrameSource,
        teacher: Teacher,
        categories: Mapping[str, str],
        by_category: Mapping[str, CategoryOutcome],
    ) -> None:
        self.frames = frames
        self.teacher = teacher
        self.categories = categories
        self.by_category = by_category

    def prepare(self, job: VideoJob) -> PreparedVideo:
        return self.frames.prepare(job.video)

    async def label(self, video: PreparedVideo, job: VideoJob) -> Labelled:
        return await label_each(job.questions, self._label)

    async def _label(self, question: VideoQuestion) -> LabelledQuestion:
        """Raises `ValueError` where the category was never probed or ended in a tie."""
        category = self.categories[question.id]
        outcome = self.by_category.get(category)
        policy = outcome.label() if outcome else None
        if policy is None:
            raise ValueError(
                f"category {category} of question {question.id} {'tied' if outcome else 'was never probed'}"
            )
        return LabelledQuestion(
            question=question,
            policy=policy,
            origin="teacher",
            teacher=self.teacher.config.model,
            prompt_hash=CATEGORY_PROMPT.hash,
        )


async def decide(
    questions: Sequence[VideoQuestion], frames: FrameSource, teacher: Teacher, config: ProbeConfig, out: Path
) -> tuple[dict[str, str], dict[str, CategoryOutcome], list[Reject]]:
    """Categories by question id, outcomes by category, rejects; kept in `out/probes.json` and read back from there."""
    kept = out / PROBES
    if kept.is_file():
        record = json.loads(kept.read_text(encoding="utf-8"))
        decided = {name: CategoryOutcome(**outcome) for name, outcome in record["outcomes"].items()}
        return record["categories"], decided, [Reject(**reject) for reject in record["rejects"]]
    categories, rejects = await categorise(teacher, questions)
    probed, failed = await _probe_all(_sample(questions, categories, config.per_category), frames, teacher, config)
    decided = outcomes(probed, categories)
    record = {
        "categories": categories,
        "outcomes": {name: asdict(outcome) for name, outcome in decided.items()},
        "rejects": [asdict(reject) for reject in [*rejects, *failed]],
        "probed": [asdict(one) for one in probed],
    }
    write_atomically(kept, json.dumps(record, indent=1))
    return dict(categories), decided, [*rejects, *failed]


def outcome_table(decided: Mapping[str, CategoryOutcome]) -> Table:
    """What probing showed, as a table."""
    table = Table(
        "category",
        "probed",
        "global solved",
        "fragment solved",
        "both",
        "neither",
        "policy",
        title="probing at equal tokens",
    )
    for outcome in decided.values():
        counts = (outcome.support, outcome.solved_global, outcome.solved_fragment, outcome.both, outcome.neither)
        table.add_row(outcome.category, *map(str, counts), outcome.winner or "tie")
    return table


def report(decided: Mapping[str, CategoryOutcome]) -> dict[str, Any]:
    """Print the outcomes; the same as notes for the manifest."""
    Console().print(outcome_table(decided))
    return {"probing": {name: asdict(outcome) | {"winner": outcome.winner} for name, outcome in decided.items()}}


def _sample(
    questions: Sequence[VideoQuestion], categories: Mapping[str, str], per_category: int
) -> dict[str, list[VideoQuestion]]:
    """The questions to probe, by video: of the training split, with options and answer, spread evenly over each category."""
    by_category: dict[str, list[VideoQuestion]] = defaultdict(list)
    for question in questions:
        usable = question.options and question.answer and (question.split or UNSPLIT) == UNSPLIT
        if usable and question.id in categories:
            by_category[categories[question.id]].append(question)
    chosen: dict[str, list[VideoQuestion]] = defaultdict(list)
    for members in by_category.values():
        count = min(per_category, len(members))
        for position in range(count):
            question = members[position * len(members) // count]
            chosen[question.video].append(question)
    return chosen


async def _probe_all(
    chosen: Mapping[str, Sequence[VideoQuestion]], frames: FrameSource, teacher: Teacher, config: ProbeConfig
) -> tuple[list[Probed], list[Reject]]:
    async def probe_one(video: PreparedVideo, question: VideoQuestion) -> Probed | Reject:
        try:
            return await probe(teacher, config, video, question, await frames.relevant(video, question))
        except TeacherReplyError as error:
            return Reject(question.id, "probe", error.verdict, str(error), error.raw)

    async def probe_video(name: str, members: Sequence[VideoQuestion]) -> list[Probed | Reject]:
        async with in_memory:
            try:
                video = await asyncio.to_thread(frames.prepare, name)
            except VideoError:
                return []  # the build itself meets this video again and puts it aside with its verdict
            return await asyncio.gather(*(probe_one(video, question) for question in members))

    in_memory = asyncio.Semaphore(teacher.config.concurrency)
    by_video = await asyncio.gather(*(probe_video(name, members) for name, members in chosen.items()))
    done = [one for outcomes_of_video in by_video for one in outcomes_of_video]
    return [one for one in done if isinstance(one, Probed)], [one for one in done if isinstance(one, Reject)]
