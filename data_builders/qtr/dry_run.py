"""A dry run of `qtr`: the questions of some videos are categorised, and as large a share of them probed as of all.

Their answers are kept, and the build finds them where it asks the same.
"""

import asyncio
import math
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
from rich.console import Console

from videorouter.data_builders.building.estimate import Estimate
from videorouter.data_builders.building.extrapolation import spread
from videorouter.data_builders.building.ledger import Ledger
from videorouter.data_builders.building.metering import Meter, MeteredTeacher, together
from videorouter.data_builders.building.plan import UNSPLIT
from videorouter.data_builders.building.reporting import Outcome
from videorouter.data_builders.building.run_folder import RunFolder
from videorouter.data_builders.building.turns import turn
from videorouter.data_builders.flr.annotate import ScoringConfig, TeacherLabeller
from videorouter.data_builders.qtr.frame_source import FrameSource
from videorouter.data_builders.qtr.outcomes import PROBES, PolicyConfig
from videorouter.data_builders.qtr.probe import ProbeConfig
from videorouter.data_builders.qtr.probe_draws import SampledVideo, Split, probing_rows
from videorouter.data_builders.qtr.probe_record import DECIDE, answers_to_decide
from videorouter.data_builders.qtr.probing import (
    categorise,
    is_for_training,
    make_prober,
    probe_unrecorded,
    to_probe,
)
from videorouter.data_builders.rejects import Reject
from videorouter.data_builders.teacher.client import TeacherClient
from videorouter.data_builders.teacher.concurrency import map_concurrently
from videorouter.data_builders.teacher.config import Usage
from videorouter.data_builders.teacher.errors import TeacherStopped
from videorouter.data_builders.teacher.fault import Streaks
from videorouter.data_builders.teacher.replies import Category, QuestionCategory
from videorouter.data_builders.teacher.teacher import Teacher
from videorouter.data_builders.videos import FrameConfig, VideoFolder
from videorouter.shards.schema import VideoQuestion

PROBING_LOCK = ".probing.lock"
_KINDS = {category: number for number, category in enumerate(Category)}
_Questions = Mapping[str, Sequence[VideoQuestion]]


def estimate_labels(
    folder: RunFolder,
    frames: FrameConfig,
    questions: Sequence[VideoQuestion],
    relevance: Path | None,
    scoring: ScoringConfig,
    probing: ProbeConfig,
    policies: PolicyConfig,
) -> Outcome:
    """The outcome of a dry run of `qtr` in an open folder: an estimate, or why it stopped.

    Where all is probed already that is said: what is left to do asks the teacher nothing. Raises as `run_probing`.
    """
    assert folder.teacher is not None
    outcome = Outcome(tolerate=folder.run.tolerate)
    with turn(folder.out / PROBING_LOCK, f"probing in {folder.out}"):
        if (folder.out / PROBES).is_file():
            Console(markup=False, soft_wrap=True).print(
                f"all is probed in {folder.out}: what is left to do asks the teacher nothing"
            )
            return outcome
        before, meter = folder.ledger.spent_on([DECIDE], folder.teacher.model), Meter()
        with answers_to_decide(folder.ledger) as journal, closing(VideoFolder(frames)) as videos:
            client = TeacherClient(folder.teacher, folder.ledger.admit)
            sampled = min(folder.run.dry_run, len({question.video for question in questions}))
            streaks = Streaks(sampled, folder.run.refused_in_a_row, folder.ledger.doubts)
            teacher = MeteredTeacher(Teacher(folder.teacher, client, journal, streaks), meter)
            source = FrameSource(videos, TeacherLabeller(videos, teacher, scoring), relevance)
            sample = estimate_probing(
                questions, source, teacher, meter, folder.ledger, before, probing, policies, folder.run.dry_run
            )
            try:
                outcome.estimate = asyncio.run(client.run(teacher.draining(sample)))
            except TeacherStopped as error:
                outcome.stopped = error
    return outcome


async def estimate_probing(
    questions: Sequence[VideoQuestion],
    frames: FrameSource,
    teacher: MeteredTeacher,
    meter: Meter,
    ledger: Ledger,
    before: Usage,
    config: ProbeConfig,
    policies: PolicyConfig,
    count: int,
) -> Estimate:
    """Categorise and probe the questions of `count` videos, spread evenly, and estimate the rest; `before` was paid earlier.

    Raises as `run_probing`, also where all of the sample is refused alike, and `ValueError` where there is no question.
    """
    if not questions:
        raise ValueError("there is no question to label: nothing to estimate")
    start = time.monotonic()
    by_video: dict[str, list[VideoQuestion]] = defaultdict(list)
    for question in questions:
        by_video[question.video].append(question)
    names = list(by_video)
    sample = {name: by_video[name] for name in (names[place] for place in spread(len(names), count))}
    categories, rejects = await _categorise(sample, teacher, meter)
    eligible = [one for one in questions if _may_be_probed(one, policies)]
    probed = _share_to_probe(sample, categories, eligible, config.per_category, policies)
    rejects += await _probe(probed, frames, teacher, meter, config)
    teacher.streaks.finish()
    seconds = time.monotonic() - start
    new_texts = _new_texts(sample)
    videos = [
        SampledVideo(
            new_texts[name],
            meter.needs[_category_item(name)],
            len(probed.get(name, ())),
            meter.needs[_probe_item(name)],
        )
        for name in sample
    ]
    splits = [
        _split([one for one in eligible if (one.split or UNSPLIT) == split], sample, categories, probed)
        for split in sorted({one.split or UNSPLIT for one in eligible})
    ]
    texts, price = len({one.question for one in questions}), ledger.prices.get(ledger.model or "")
    rows = probing_rows(videos, splits, len(names), texts, config.per_category, before, price)
    need = together(one for video in videos for one in (video.categories, video.probing))
    return Estimate(len(sample), len(names), seconds, need, rows, None, rejects)


async def _categorise(
    sample: _Questions, teacher: MeteredTeacher, meter: Meter
) -> tuple[dict[str, QuestionCategory], list[Reject]]:
    """The first video alone, since what every request would meet is met once."""
    categories: dict[str, QuestionCategory] = {}
    rejects: list[Reject] = []

    async def of_video(name: str) -> None:
        with meter.counting(_category_item(name)):
            found, failed = await categorise(teacher, sample[name])
        categories.update(found)
        rejects.extend(failed)

    names = list(sample)
    for some in (names[:1], names[1:]):
        await map_concurrently(of_video, some, teacher.config.concurrency, lambda _: None)
    return categories, rejects


async def _probe(
    probed: _Questions, frames: FrameSource, teacher: MeteredTeacher, meter: Meter, config: ProbeConfig
) -> list[Reject]:
    """The first video alone, as above."""
    rejects: list[Reject] = []
    prober = make_prober(config, teacher)

    async def of_video(name: str) -> None:
        with meter.counting(_probe_item(name)):
            done = await probe_unrecorded({name: probed[name]}, frames, prober, teacher, config)
        rejects.extend(one for one in done if isinstance(one, Reject))

    names = list(probed)
    for some in (names[:1], names[1:]):
        await map_concurrently(of_video, some, teacher.config.concurrency, lambda _: None)
    return rejects


def _share_to_probe(
    sample: _Questions,
    categories: Mapping[str, QuestionCategory],
    eligible: Sequence[VideoQuestion],
    per_category: int,
    policies: PolicyConfig,
) -> dict[str, list[VideoQuestion]]:
    """As many of each category as the sample's share of all questions that may be probed."""
    here = [question for members in sample.values() for question in members]
    share = sum(_may_be_probed(one, policies) for one in here) / max(1, len(eligible))
    return to_probe(here, categories, math.ceil(per_category * share), policies.labels == "question")


def _split(
    eligible: Sequence[VideoQuestion],
    sample: _Questions,
    categories: Mapping[str, QuestionCategory],
    probed: _Questions,
) -> Split:
    """Counts of the questions of one split."""
    places = {name: place for place, name in enumerate(sample)}
    counts = np.zeros((len(sample), len(_KINDS)), np.int64)
    chosen = np.zeros(len(_KINDS), np.int64)
    for question in eligible:
        if question.video in places and question.id in categories:
            kind = _KINDS[categories[question.id].category]
            counts[places[question.video], kind] += 1
            chosen[kind] += question in probed.get(question.video, ())
    return Split(counts, chosen, sum(question.video not in places for question in eligible))


def _new_texts(sample: _Questions) -> dict[str, int]:
    """By video, how many of its questions' texts no video before it has: a text is asked for its category once."""
    seen: set[str] = set()
    counts = {}
    for name, members in sample.items():
        new = {question.question for question in members} - seen
        counts[name] = len(new)
        seen |= new
    return counts


def _may_be_probed(question: VideoQuestion, policies: PolicyConfig) -> bool:
    return question.answer is not None and (policies.labels == "question" or is_for_training(question))


def _category_item(name: str) -> str:
    return f"categories of {name}"


def _probe_item(name: str) -> str:
    return f"probes of {name}"
