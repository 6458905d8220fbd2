"""One build of a run folder: unfinished shards are handed to an executor, what failed is put aside, the result is reported."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from videorouter.data_builders.estimate import estimate
from videorouter.data_builders.executors import EXECUTORS
from videorouter.data_builders.folder import RunFolder
from videorouter.data_builders.jobs import ShardJob
from videorouter.data_builders.progress import told, watched
from videorouter.data_builders.rejects import QUARANTINE, Reject, read_rejects, write_rejects
from videorouter.data_builders.teacher import BudgetSpent, TeacherStopped
from videorouter.data_builders.videos import FrameConfig
from videorouter.data_builders.workshop import Recipe, ShardOutcome, Work
from videorouter.shards.sidecar import read_sidecar, write_manifest
from videorouter.shards.storage import Storage
from videorouter.shards.writer import is_finished

DONE, QUARANTINED, UNAVAILABLE, SPENT = 0, 3, 4, 5


@dataclass
class BuildConfig:
    """What is built from what.

    Args:
        questions: annotation file
        out: folder of the data set
        source: its format: questions_jsonl, llava_video, nextqa, nextgqa, qvhighlights, charades_sta, activitynet_qa,
            activitynet_captions, segments or video_pairs
        videos_per_shard: samples a shard
        exclude: file with ids of videos to leave out (benchmarks'), one a line
        near_duplicates: questions about one video whose words overlap by this share (0-1) are asked once; null keeps all
    """

    questions: Path
    out: Path
    source: str = "questions_jsonl"
    videos_per_shard: int = 8
    exclude: Path | None = None
    near_duplicates: float | None = None


@dataclass
class Outcome:
    """What a build did; `waiting` counts planned shards that are not done, here or in other shard ranges."""

    labelled: int = 0
    rejects: list[Reject] = field(default_factory=list)
    stopped: TeacherStopped | None = None
    waiting: int = 0
    tolerate: float = 0.0

    @property
    def exit_code(self) -> int:
        """0 all labelled, 3 items in quarantine, 4 teacher unavailable, 5 a cap reached; after 4 and 5 a rerun goes on."""
        if self.stopped:
            return SPENT if isinstance(self.stopped, BudgetSpent) else UNAVAILABLE
        failed = sum(reject.failed for reject in self.rejects)
        return QUARANTINED if failed > self.tolerate * (self.labelled + failed) else DONE


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

    With `dry_run` only an estimate is printed. Exit codes are `Outcome.exit_code`.
    """
    run = folder.run
    todo = [jobs[index] for index in run.slice_of(len(jobs)) if not _settled(jobs[index], run.retry_failed)]
    work = Work(folder.out, folder.fingerprint, frames, recipe, folder.ledger, folder.teacher)
    outcome = Outcome(tolerate=run.tolerate)
    if run.dry_run:
        try:
            Console(markup=False, soft_wrap=True).print(estimate(work, todo, run.dry_run).table())
        except TeacherStopped as error:
            outcome.stopped = error
            _report_stop(error)
        return outcome

    def finished(shard: ShardOutcome) -> None:
        outcome.stopped = outcome.stopped or shard.stopped

    for job in todo:
        job.undo()
    folder.ledger.forget_done([job.path.stem for job in todo])
    if todo:
        with watched(folder.ledger, sum(len(job.videos) for job in jobs)):
            EXECUTORS[run.executor](work, todo, run, finished)
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
    _report(folder, outcome, len(jobs))
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


def _report(folder: RunFolder, outcome: Outcome, shards: int) -> None:
    console = Console(markup=False, highlight=False, soft_wrap=True)
    console.print(
        f"{outcome.labelled} questions labelled in {shards - outcome.waiting} of {shards} shards in {folder.out}"
    )
    failed = [reject for reject in outcome.rejects if reject.failed]
    for reject in failed[:10]:
        console.print(Text("put aside", style="yellow"), f"{reject.item} ({reject.verdict}): {reject.reason}")
    if outcome.rejects:
        filtered = len(outcome.rejects) - len(failed)
        console.print(f"{len(failed)} items put aside, {filtered} filtered: see {folder.out / QUARANTINE}")
    if folder.teacher:
        console.print(
            f"teacher, all runs into this folder: {folder.ledger.totals().usage}; {told(folder.ledger.totals())}"
        )
    if folder.run.shard_range:
        console.print(
            f"shards {folder.run.shard_range} only; caps count for the whole folder; {outcome.waiting} shards wait"
        )
    if outcome.stopped:
        _report_stop(outcome.stopped)


def _report_stop(error: TeacherStopped) -> None:
    advice = "; raise the cap and run the same command again" if isinstance(error, BudgetSpent) else ""
    Console(markup=False, stderr=True, soft_wrap=True).print(f"error: {error}{advice}")
