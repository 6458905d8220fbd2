"""One build of a run folder: an executor builds the unfinished shards, what failed is put aside, the result is reported."""

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from videorouter.data_builders.building.again import (
    asked_again,
    building_again,
    give_back,
    retire_replies,
    settled,
    withdraw,
    withdraw_left,
)
from videorouter.data_builders.building.estimate import estimate
from videorouter.data_builders.building.executors import EXECUTORS
from videorouter.data_builders.building.labeller import Recipe
from videorouter.data_builders.building.plan import ShardJob
from videorouter.data_builders.building.rehearsal import rehearse
from videorouter.data_builders.building.reporting import Outcome, show_progress
from videorouter.data_builders.building.run_folder import RunFolder
from videorouter.data_builders.building.shard_builder import BuildSpec, ShardOutcome
from videorouter.data_builders.rejects import QUARANTINE, Reject, read_rejects, write_rejects
from videorouter.data_builders.teacher.errors import TeacherStopped
from videorouter.data_builders.teacher.fault import Met, Streaks
from videorouter.data_builders.videos import FrameConfig
from videorouter.shards.sidecar import read_sidecar, write_manifest
from videorouter.shards.storage import Storage
from videorouter.shards.writer import is_finished

_log = logging.getLogger(__name__)

Notes = Callable[[Outcome], Mapping[str, Any]]
"""What the manifest keeps beside the configuration, made from the finished build."""


def build(
    folder: RunFolder,
    jobs: Sequence[ShardJob],
    recipe: Recipe,
    frames: FrameConfig,
    source_rejects: Sequence[Reject] = (),
    licences: Sequence[str] = (),
    notes: Notes | None = None,
) -> Outcome:
    """Build the unfinished ones of `jobs` that the run asks for; write quarantine and, once all are done, the manifest.

    With `dry_run` there is only an estimate. Exit codes are `Outcome.exit_code`.
    """
    run = folder.run
    here = [jobs[index] for index in run.slice_of(len(jobs))]
    withdraw_left(folder.ledger, here)
    give_back(here)
    verdicts = asked_again(run)
    todo = [job for job in here if not settled(job, verdicts)]
    outcome = Outcome(shards=len(jobs), tolerate=run.tolerate)
    if run.dry_run:
        sample = min(run.dry_run, sum(len(job.videos) for job in todo))
        _estimate(folder, todo, _spec(folder, recipe, frames, sample), outcome)
        return outcome
    _log.info("%d of %d shards to build, %s with %d workers", len(todo), len(jobs), run.executor, run.workers)
    if todo:
        spec = _spec(folder, recipe, frames, sum(len(job.videos) for job in here))
        with show_progress(folder.ledger, sum(len(job.videos) for job in jobs)):
            _build(folder, todo, spec, outcome, first=not any(job.done for job in here))
    _collect(folder, jobs, outcome, source_rejects)
    if not outcome.waiting:
        write_manifest(
            folder.out,
            shards=[job.path.name for job in jobs if is_finished(job.path)],
            fingerprint=folder.fingerprint,
            config=folder.record,
            licences=sorted(licences),
            notes=notes(outcome) if notes else None,
        )
    failed = sum(reject.failed for reject in outcome.rejects)
    _log.info("%d questions labelled, %d in quarantine, %d shards wait", outcome.labelled, failed, outcome.waiting)
    return outcome


def _spec(folder: RunFolder, recipe: Recipe, frames: FrameConfig, videos: int) -> BuildSpec:
    """The spec of a build of so many videos."""
    streaks = Streaks(videos, folder.run.refused_in_a_row, folder.ledger.doubts)
    return BuildSpec(folder.out, folder.fingerprint, frames, recipe, folder.ledger, folder.teacher, streaks)


def _estimate(folder: RunFolder, todo: Sequence[ShardJob], spec: BuildSpec, outcome: Outcome) -> None:
    """Label a sample; refusals that are the run's fault are told here already."""
    fresh = _asked_anew(folder, todo)[1]
    try:
        found = estimate(spec, todo, folder.run.dry_run)
        spec.streaks.finish()
        outcome.estimate = found
    except TeacherStopped as error:
        outcome.stopped = error
        withdraw(folder.ledger, fresh, spec.streaks.doubts, ())
    folder.ledger.doubts.forget(job.path.stem for job in todo)


def _build(folder: RunFolder, todo: Sequence[ShardJob], spec: BuildSpec, outcome: Outcome, first: bool) -> None:
    """Build shards, the first video before all others; `first` says that no run before this one finished any.

    Where that ends early, what was put aside in doubt of the endpoint is taken back.
    """
    again, fresh = _asked_anew(folder, todo)
    doubts: list[Met] = []
    told: set[Path] = set()
    ended = False

    def finished(shard: ShardOutcome) -> None:
        _log.info("%s: %s", shard.job.path.name, f"stopped: {shard.stopped}" if shard.stopped else "done")
        outcome.stopped = outcome.stopped or shard.stopped
        told.add(shard.job.path)
        doubts.extend(shard.doubts)
        if shard.process != os.getpid():
            spec.streaks.replay(shard.heard)

    try:
        with building_again(again):
            for job in todo:
                job.reset()
            folder.ledger.forget_done([job.path.stem for job in todo])
            rehearse(spec, todo)
            EXECUTORS[folder.run.executor](spec, todo, folder.run, finished)
            if first and not outcome.stopped:
                spec.streaks.finish()
        ended = outcome.stopped is None
    except TeacherStopped as error:
        outcome.stopped = outcome.stopped or error
    finally:
        if not ended:
            withdraw(folder.ledger, fresh, [*doubts, *spec.streaks.doubts], told)
        folder.ledger.doubts.forget(job.path.stem for job in todo)
        for job in (job for job in again if job.done):
            failures = sum(reject.failed for reject in read_rejects(job.rejects))
            folder.ledger.record_done(job.path.stem, len(job.videos), _questions(folder, job), failures)


def _asked_anew(folder: RunFolder, todo: Sequence[ShardJob]) -> tuple[list[ShardJob], list[ShardJob]]:
    """The shards that are built again, the bad replies of which are asked again, and those that never were finished."""
    again = [job for job in todo if job.done]
    verdicts = asked_again(folder.run)
    for job in again:
        rejects = (reject for reject in read_rejects(job.rejects) if reject.verdict in verdicts)
        retire_replies(folder.ledger, job.path.stem, rejects)
    return again, [job for job in todo if not job.done]


def _collect(folder: RunFolder, jobs: Sequence[ShardJob], outcome: Outcome, source_rejects: Sequence[Reject]) -> None:
    """What all runs into the folder came to so far."""
    outcome.waiting = sum(not job.done for job in jobs)
    outcome.rejects = [*source_rejects, *(reject for job in jobs for reject in read_rejects(job.rejects))]
    outcome.labelled = sum(_questions(folder, job) for job in jobs)
    write_rejects(folder.out / QUARANTINE, outcome.rejects)


def _questions(folder: RunFolder, job: ShardJob) -> int:
    """How many a finished shard holds; 0 where nothing was labelled."""
    return read_sidecar(Storage(folder.out), job.path.name).questions if is_finished(job.path) else 0
