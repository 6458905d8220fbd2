"""One build of a run folder: an executor builds the unfinished shards, what failed is put aside, the result is reported."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from videorouter.data_builders.building.estimate import estimate
from videorouter.data_builders.building.executors import EXECUTORS
from videorouter.data_builders.building.labeller import Recipe
from videorouter.data_builders.building.plan import ShardJob
from videorouter.data_builders.building.reporting import Outcome, show_progress
from videorouter.data_builders.building.run_folder import RunFolder
from videorouter.data_builders.building.shard_builder import BuildSpec, ShardOutcome
from videorouter.data_builders.rejects import QUARANTINE, Reject, read_rejects, write_rejects
from videorouter.data_builders.teacher.errors import TeacherStopped
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
    todo = [jobs[index] for index in run.slice_of(len(jobs)) if not _settled(jobs[index], run.retry_failed)]
    spec = BuildSpec(folder.out, folder.fingerprint, frames, recipe, folder.ledger, folder.teacher)
    outcome = Outcome(shards=len(jobs), tolerate=run.tolerate)
    if run.dry_run:
        try:
            outcome.estimate = estimate(spec, todo, run.dry_run)
        except TeacherStopped as error:
            outcome.stopped = error
        return outcome

    def finished(shard: ShardOutcome) -> None:
        _log.info("%s: %s", shard.job.path.name, f"stopped: {shard.stopped}" if shard.stopped else "done")
        outcome.stopped = outcome.stopped or shard.stopped

    _log.info("%d of %d shards to build, %s with %d workers", len(todo), len(jobs), run.executor, run.workers)

    for job in todo:
        job.reset()
    folder.ledger.forget_done([job.path.stem for job in todo])
    if todo:
        with show_progress(folder.ledger, sum(len(job.videos) for job in jobs)):
            EXECUTORS[run.executor](spec, todo, run, finished)
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


def _settled(job: ShardJob, retry_failed: bool) -> bool:
    """Whether nothing is left to do: shards that came to nothing are tried again where that may help, others when asked to."""
    if not job.done:
        return False
    again = retry_failed or not is_finished(job.path)
    return not (again and any(reject.retryable for reject in read_rejects(job.rejects)))


def _collect(folder: RunFolder, jobs: Sequence[ShardJob], outcome: Outcome, source_rejects: Sequence[Reject]) -> None:
    """What all runs into the folder came to so far."""
    storage = Storage(folder.out)
    outcome.waiting = sum(not job.done for job in jobs)
    outcome.rejects = [*source_rejects, *(reject for job in jobs for reject in read_rejects(job.rejects))]
    outcome.labelled = sum(read_sidecar(storage, job.path.name).questions for job in jobs if is_finished(job.path))
    write_rejects(folder.out / QUARANTINE, outcome.rejects)
