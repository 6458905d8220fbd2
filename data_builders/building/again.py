"""What is asked again: finished shards on demand, and what a run put aside that ended while its endpoint was in doubt.

A shard that is built again is put by until another takes its place: a run that stops before leaves what was there.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from videorouter.data_builders.building.config import RunConfig
from videorouter.data_builders.building.ledger import Ledger
from videorouter.data_builders.building.plan import ShardJob
from videorouter.data_builders.rejects import INVALID, REFUSED, RETRYABLE, Reject, read_rejects
from videorouter.data_builders.teacher.fault import Met
from videorouter.shards.writer import is_finished

PUT_BY = "put-by"
"""Folder of shards that are being built again, for as long as that takes."""


def asked_again(run: RunConfig) -> frozenset[str]:
    """The verdicts whose items a run tries again although their shards are finished."""
    wanted = ((run.retry_failed, RETRYABLE), (run.retry_refused, REFUSED), (run.retry_invalid, INVALID))
    return frozenset[str]().union(*(verdicts for asked, verdicts in wanted if asked))


def settled(job: ShardJob, verdicts: Collection[str]) -> bool:
    """Whether nothing is left to do, `verdicts` being asked again; shards that came to nothing also are where that may help."""
    if not job.done:
        return False
    again = verdicts if is_finished(job.path) else {*verdicts, *RETRYABLE}
    return not any(reject.verdict in again for reject in read_rejects(job.rejects))


def retire_replies(ledger: Ledger, part: str, rejects: Iterable[Reject]) -> None:
    """Let the bad replies that these were put aside for be asked again; what they cost stays counted.

    Files that were written before replies had keys are found by what they say. Raises `AnswerNotKept`, and as `Ledger.journal`.
    """
    put_aside = list(rejects)
    keys = [key for reject in put_aside for key in reject.keys]
    raws = [reject.raw for reject in put_aside if reject.raw and not reject.keys and reject.verdict in INVALID]
    _retire(ledger, part, keys, raws)


@contextmanager
def building_again(jobs: Sequence[ShardJob]) -> Iterator[None]:
    """While the body runs, these finished shards are put by; those of which no new one was made are then given back."""
    for job in jobs:
        _move(_names(job), _put_by(job))
    try:
        yield
    finally:
        give_back(jobs)


def give_back(jobs: Sequence[ShardJob]) -> None:
    """Give those of `jobs` that have no shard what was put by of them, also by a run that was killed."""
    folder = jobs[0].path.parent / PUT_BY if jobs else None
    if folder is None or not folder.is_dir():
        return
    for job in jobs:
        if job.done:
            for path in _put_by(job):
                path.unlink(missing_ok=True)
        else:
            _move(_put_by(job)[::-1], _names(job)[::-1])
    with suppress(OSError):  # others' shards lie in it
        folder.rmdir()


def withdraw(ledger: Ledger, jobs: Sequence[ShardJob], doubts: Iterable[Met], told: Collection[Path]) -> None:
    """Take back what `jobs`, begun in this run, put aside with doubt: their shards are undone, bad replies are asked again.

    Finished shards that are not among those of which the end was `told` are in doubt, too.
    """
    bad: dict[str, set[str]] = {}
    for met in doubts:
        bad.setdefault(met.part, set()).update(met.keys)
    for job in jobs:
        part = job.path.stem
        if job.done and job.path not in told:
            bad.setdefault(part, set()).update(key for reject in read_rejects(job.rejects) for key in reject.keys)
        if part in bad:
            job.reset()
            _retire(ledger, part, bad[part])
    ledger.forget_done(list(bad))


def withdraw_left(ledger: Ledger, jobs: Sequence[ShardJob]) -> None:
    """Take back what a run that was killed had put aside in doubt about the shards `jobs`. Raises as `Ledger.journal`."""
    by_part = {job.path.stem: job for job in jobs}
    for part, keys in ledger.doubts.left(by_part):
        by_part[part].reset()
        ledger.forget_done([part])
        retire_left(ledger, part, keys)


def retire_left(ledger: Ledger, part: str, keys: Sequence[str]) -> None:
    """Let the bad replies that a killed run left in doubt be asked again; then nothing is in doubt any more."""
    _retire(ledger, part, keys)
    ledger.doubts.forget([part])


def _names(job: ShardJob) -> list[Path]:
    """What a shard left, in an order in which it is undone with the first."""
    return [job.path, job.nothing, job.path.with_suffix(".json"), job.rejects]


def _put_by(job: ShardJob) -> list[Path]:
    folder = job.path.parent / PUT_BY
    return [folder / path.name for path in _names(job)]


def _move(sources: Sequence[Path], targets: Sequence[Path]) -> None:
    for source, target in zip(sources, targets, strict=True):
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            source.replace(target)


def _retire(ledger: Ledger, part: str, keys: Collection[str], raws: Collection[str] = ()) -> None:
    if keys or raws:
        with closing(ledger.journal(part)) as journal:
            journal.retire(keys, raws)
