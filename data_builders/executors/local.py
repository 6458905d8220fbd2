"""Shards in this process, or in several of this machine: each is given two shards, and another as one is done."""

import asyncio
import multiprocessing
import os
import threading
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from videorouter.data_builders.jobs import ShardJob
from videorouter.data_builders.rejects import Reject
from videorouter.data_builders.run import RunConfig
from videorouter.data_builders.workshop import SHARDS_AT_ONCE, Finished, ShardOutcome, Work, Workshop

DEATHS = 2
"""Processes that may die of one shard before it is put aside."""


def run_local(work: Work, jobs: Sequence[ShardJob], run: RunConfig, finished: Finished) -> None:
    """Build all shards; with one worker in this very process."""
    if run.workers == 1:
        with closing(Workshop(work)) as workshop:
            workshop.run(workshop.build_all(_each(jobs), finished))
    else:
        with closing(_Workers(shared(work, run.workers), min(run.workers, len(jobs)))) as workers:
            workers.build(jobs, finished)


def shared(work: Work, workers: int) -> Work:
    """The work with each worker's share of the requests in flight."""
    if work.teacher is None:
        return work
    return replace(work, teacher=replace(work.teacher, concurrency=max(1, work.teacher.concurrency // workers)))


async def _each(jobs: Iterable[ShardJob]) -> AsyncIterator[ShardJob]:
    for job in jobs:
        yield job


@dataclass
class _Worker:
    """A process, the pipe to it, and the shards it was given and has not finished."""

    process: BaseProcess
    pipe: Connection
    jobs: list[ShardJob] = field(default_factory=list)


class _Workers:
    """Processes that build the shards they are sent. One that dies is replaced, and its shards are tried once more."""

    def __init__(self, work: Work, count: int) -> None:
        self._work = work
        self._context = multiprocessing.get_context("spawn")
        self._workers = [self._start() for _ in range(count)]
        self._deaths: dict[str, int] = {}

    def build(self, jobs: Sequence[ShardJob], finished: Finished) -> None:
        """Build all shards, in about their order."""
        waiting, stopped = list(reversed(jobs)), False
        while True:
            for worker in self._workers:
                while waiting and not stopped and len(worker.jobs) < SHARDS_AT_ONCE:
                    self._give(worker, waiting.pop())
            busy = [worker for worker in self._workers if worker.jobs]
            if not busy:
                return
            ready = wait([worker.pipe for worker in busy])
            for worker in (worker for worker in busy if worker.pipe in ready):
                try:
                    outcome = worker.pipe.recv()
                except (EOFError, OSError):
                    waiting += self._replace(worker, finished)
                else:
                    if isinstance(outcome, Exception):
                        raise outcome
                    worker.jobs.remove(outcome.job)
                    stopped = stopped or outcome.stopped is not None
                    finished(outcome)

    def close(self) -> None:
        """Let the processes end; kill those that do not."""
        for worker in self._workers:
            with suppress(OSError):
                worker.pipe.send(None)
        for worker in self._workers:
            worker.process.join(timeout=10)
            worker.process.kill()
            worker.process.join()

    def _start(self) -> _Worker:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_serve, args=(self._work, theirs), daemon=False)
        process.start()
        theirs.close()
        return _Worker(process, ours)

    def _give(self, worker: _Worker, job: ShardJob) -> None:
        worker.jobs.append(job)
        with suppress(OSError):  # it died: found when its pipe is read
            worker.pipe.send(job)

    def _replace(self, worker: _Worker, finished: Finished) -> list[ShardJob]:
        """Put a new process in the place of a dead one; the shards to try again."""
        worker.process.join()
        again = []
        for job in worker.jobs:
            deaths = self._deaths[job.path.name] = self._deaths.get(job.path.name, 0) + 1
            if job.done:
                finished(ShardOutcome(job))
            elif deaths < DEATHS:
                again.append(job)
            else:
                reason = f"{deaths} processes died of this shard (the last with exit code {worker.process.exitcode})"
                job.put_aside([Reject(video.video, "shard", "died", reason) for video in job.videos])
                job.mark_nothing()
                finished(ShardOutcome(job))
        self._workers[self._workers.index(worker)] = self._start()
        return again


def _serve(work: Work, pipe: Connection) -> None:
    """Build the shards that come through the pipe, until None comes. With its other end gone nobody wants them: end at once."""
    jobs: asyncio.Queue[ShardJob | None] = asyncio.Queue()

    def receive(loop: asyncio.AbstractEventLoop) -> None:
        job: ShardJob | None
        try:
            while (job := pipe.recv()) is not None:
                loop.call_soon_threadsafe(jobs.put_nowait, job)
            loop.call_soon_threadsafe(jobs.put_nowait, None)
        except (EOFError, OSError):
            os._exit(1)

    async def given() -> AsyncIterator[ShardJob]:
        threading.Thread(target=receive, args=(asyncio.get_running_loop(),), daemon=True).start()
        while (job := await jobs.get()) is not None:
            yield job

    with closing(Workshop(work)) as workshop:
        try:
            workshop.run(workshop.build_all(given(), pipe.send))
        except Exception as error:
            pipe.send(error)
