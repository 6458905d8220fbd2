"""The work all builders share: shard after shard, video after video, what fails put aside, what is finished left alone."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from data_builders.fingerprint import claim_folder
from data_builders.jobs import ShardJob, VideoJob, plan_shards
from data_builders.labelling import Labeller
from data_builders.rejects import QUARANTINE, Reject, read_rejects, write_rejects
from data_builders.teacher import TeacherUnavailable
from shards.sample import ShardSample
from shards.schema import VideoQuestion
from shards.sidecar import read_sidecar, write_manifest
from shards.storage import Storage
from shards.writer import is_finished, write_shard
from video.errors import VideoError

DONE, QUARANTINED, UNAVAILABLE = 0, 3, 4


@dataclass
class BuildConfig:
    """What is built from what.

    Args:
        questions: annotation file
        out: folder of the data set
        source: its format: questions_jsonl, charades_sta or segments
        videos_per_shard: samples a shard
    """

    questions: Path
    out: Path
    source: str = "questions_jsonl"
    videos_per_shard: int = 8


@dataclass
class Outcome:
    """What a build did; `notes` go to the manifest."""

    labelled: int = 0
    rejects: list[Reject] = field(default_factory=list)
    unavailable: str | None = None

    @property
    def exit_code(self) -> int:
        """0 all labelled, 3 items in quarantine, 4 teacher unavailable (a rerun goes on)."""
        return UNAVAILABLE if self.unavailable else QUARANTINED if self.rejects else DONE


def build(
    config: BuildConfig,
    questions: Sequence[VideoQuestion],
    source_rejects: Sequence[Reject],
    labeller: Labeller,
    recorded: Mapping[str, Any],
    notes: Mapping[str, Any] | None = None,
) -> Outcome:
    """Build every unfinished shard of `config.out`; write quarantine, manifest and a summary.

    `recorded` is the whole configuration: it is fingerprinted, and a folder begun with another one is refused
    (`ValueError`). Exit codes are `Outcome.exit_code`.
    """
    fingerprint, record = claim_folder(config.out, recorded)
    jobs = plan_shards(questions, config.out, config.videos_per_shard)
    outcome = Outcome()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("videos", total=sum(len(job.videos) for job in jobs))
        try:
            asyncio.run(_build_shards(jobs, labeller, fingerprint, lambda job: progress.advance(task, len(job.videos))))
        except TeacherUnavailable as error:
            outcome.unavailable = str(error)
    outcome.rejects = [*source_rejects, *(reject for job in jobs for reject in read_rejects(job.rejects))]
    write_rejects(config.out / QUARANTINE, outcome.rejects)
    storage = Storage(config.out)
    outcome.labelled = sum(read_sidecar(storage, job.path.name).questions for job in jobs if is_finished(job.path))
    if outcome.unavailable is None:
        write_manifest(
            config.out,
            shards=[job.path.name for job in jobs if is_finished(job.path)],
            fingerprint=fingerprint,
            config=record,
            licences=sorted({question.licence or "unstated" for question in questions}),
            notes=notes,
        )
    _report(config.out, outcome, len(jobs))
    return outcome


async def _build_shards(
    jobs: Sequence[ShardJob], labeller: Labeller, fingerprint: str, finished: Callable[[ShardJob], None]
) -> None:
    for job in jobs:
        if not is_finished(job.path):
            await _build_shard(job, labeller, fingerprint)
        finished(job)


async def _build_shard(job: ShardJob, labeller: Labeller, fingerprint: str) -> None:
    """Label one shard's videos side by side; the shard is written once all of them are through."""
    done = await asyncio.gather(*(_build_sample(video, labeller) for video in job.videos))
    rejects = [reject for _, rejected in done for reject in rejected]
    job.rejects.unlink(missing_ok=True)
    if rejects:
        job.rejects.parent.mkdir(parents=True, exist_ok=True)
        write_rejects(job.rejects, rejects)
    samples = [sample for sample, _ in done if sample is not None]
    if samples:
        write_shard(job.path, samples, fingerprint)


async def _build_sample(job: VideoJob, labeller: Labeller) -> tuple[ShardSample | None, list[Reject]]:
    try:
        video = await asyncio.to_thread(labeller.prepare, job)
    except VideoError as error:
        return None, [Reject(job.video, "video", error.verdict, str(error))]
    labelled, rejects = await labeller.label(video, job)
    return (ShardSample(job.key, video.record, labelled, video.jpegs) if labelled else None), rejects


def _report(out: Path, outcome: Outcome, shards: int) -> None:
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"{outcome.labelled} questions labelled in {shards} shards under {out}")
    for reject in outcome.rejects[:10]:
        console.print(f"[yellow]put aside[/yellow] {escape(f'{reject.item} ({reject.verdict}): {reject.reason}')}")
    if outcome.rejects:
        console.print(f"{len(outcome.rejects)} items in {out / QUARANTINE}")
    if outcome.unavailable:
        Console(stderr=True, soft_wrap=True).print(f"error: {outcome.unavailable}", markup=False)
