"""Who builds the shards: this process, several of this machine, or a ray cluster."""

import asyncio
import logging
import multiprocessing
import os
import threading
from collections.abc import AsyncIterator, Awaitable, Iterable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Protocol

from videorouter.data_builders.building.config import RunConfig
from videorouter.data_builders.building.plan import ShardJob
from videorouter.data_builders.building.shard_builder import (
    SHARDS_AT_ONCE,
    BuildSpec,
    Finished,
    ShardBuilder,
    ShardOutcome,
)
from videorouter.data_builders.rejects import Reject
from videorouter.interruption import belong_to_parent, starting_processes
from videorouter.run_log import log_in

_log = logging.getLogger(__name__)

DEATHS = 2
"""Processes that may die of one shard before it is put aside."""
STOP = "stop"
"""Sent to a process that is to end without finishing its shards."""
TO_DRAIN = 10.0
"""Seconds in which a cancelled task ends: its last answers are awaited for three."""
HEARD_WITHIN = 0.5
"""Seconds in which a task hears that it is cancelled."""
RAY_RETRIES = 5
"""Times ray starts a task again whose node or process went away."""


class Executor(Protocol):
    """Builds shards; `finished` is called with each. After one that was stopped no other is begun."""

    def __call__(self, spec: BuildSpec, jobs: Sequence[ShardJob], run: RunConfig, finished: Finished) -> None: ...


def run_local(spec: BuildSpec, jobs: Sequence[ShardJob], run: RunConfig, finished: Finished) -> None:
    """Build all shards: in this process, or in several, each given two shards, and another whenever one is done."""
    if run.workers == 1:
        with closing(ShardBuilder(spec)) as builder:
            builder.run(builder.build_all(_each(jobs), finished))
    else:
        with _Workers(_shared(spec, run.workers), min(run.workers, len(jobs))) as workers:
            workers.build(jobs, finished)


def run_ray(spec: BuildSpec, jobs: Sequence[ShardJob], run: RunConfig, finished: Finished) -> None:
    """Build all shards on a cluster that shares the run folder and the videos: `run.workers` tasks, a shard and a core each.

    Ray gives the tasks of a node that went away to another; what they had paid for is in the journals. Raises `ValueError`
    where ray is not installed or does not answer.
    """
    try:
        import ray
    except ImportError as error:
        raise ValueError("the ray executor needs ray: pip install 'videorouter[ray]'") from error
    ours = not ray.is_initialized()
    if ours:
        try:
            ray.init(
                address=run.ray_address, log_to_driver=False, include_dashboard=False if not run.ray_address else None
            )
        except ConnectionError as error:
            raise ValueError(f"no ray cluster answers at {run.ray_address}: {error}") from error
    task = ray.remote(num_cpus=1, max_retries=RAY_RETRIES)(_build_in_ray)
    spec = _shared(spec, run.workers)
    waiting, stopped = list(reversed(jobs)), False
    running: list[object] = []
    try:
        while running or (waiting and not stopped):
            while waiting and not stopped and len(running) < run.workers:
                running.append(task.remote(spec, waiting.pop()))
            ended, running = ray.wait(running)
            for outcome in ray.get(ended):
                stopped = stopped or outcome.stopped is not None
                finished(outcome)
    finally:
        for one in running:  # they drain as after Ctrl-C, and let go of their journals
            ray.cancel(one)
        if running:
            ray.wait(running, num_returns=len(running), timeout=TO_DRAIN)
        if ours:
            ray.shutdown()


EXECUTORS: dict[str, Executor] = {"local": run_local, "ray": run_ray}


def _shared(spec: BuildSpec, workers: int) -> BuildSpec:
    """The spec with each worker's share of the requests in flight."""
    if spec.teacher is None:
        return spec
    return replace(spec, teacher=replace(spec.teacher, concurrency=max(1, spec.teacher.concurrency // workers)))


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

    def __init__(self, spec: BuildSpec, count: int) -> None:
        self._spec = spec
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

    def __enter__(self) -> "_Workers":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Let the processes end, after an error without finishing their shards; kill those that do not."""
        for worker in self._workers:
            with suppress(OSError):
                worker.pipe.send(None if kind is None else STOP)
        for worker in self._workers:
            worker.process.join(timeout=10)
            worker.process.kill()
            worker.process.join()

    def _start(self) -> _Worker:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_serve, args=(self._spec, theirs), daemon=False)
        with starting_processes():
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
        names = ", ".join(job.path.name for job in worker.jobs)
        _log.warning("a process died with exit code %s of %s: another takes its place", worker.process.exitcode, names)
        again = []
        for job in worker.jobs:
            deaths = self._deaths[job.path.name] = self._deaths.get(job.path.name, 0) + 1
            if job.done:
                finished(ShardOutcome(job))
            elif deaths < DEATHS:
                again.append(job)
            else:
                reason = f"{deaths} processes died of this shard (the last with exit code {worker.process.exitcode})"
                job.keep_rejects([Reject(video.video, "shard", "died", reason) for video in job.videos])
                job.mark_nothing()
                finished(ShardOutcome(job))
        self._workers[self._workers.index(worker)] = self._start()
        return again


def _serve(spec: BuildSpec, pipe: Connection) -> None:
    """Build the shards that come through the pipe, until None comes, or `STOP`, after which only answers in flight are awaited.

    Where its other end is gone, exit immediately. Ctrl-C is for the process at the other end, which says what follows from it.
    """
    belong_to_parent()
    jobs: asyncio.Queue[ShardJob | None] = asyncio.Queue()

    def receive(loop: asyncio.AbstractEventLoop, work: "asyncio.Task[None]") -> None:
        job: ShardJob | str | None
        try:
            while isinstance(job := pipe.recv(), ShardJob):
                loop.call_soon_threadsafe(jobs.put_nowait, job)
            loop.call_soon_threadsafe(*((work.cancel,) if job == STOP else (jobs.put_nowait, None)))
        except (EOFError, OSError):
            os._exit(1)

    async def given() -> AsyncIterator[ShardJob]:
        work = asyncio.current_task()
        threading.Thread(target=receive, args=(asyncio.get_running_loop(), work), daemon=True).start()
        while (job := await jobs.get()) is not None:
            yield job

    with log_in(spec.out), closing(ShardBuilder(spec)) as builder:
        try:
            builder.run(builder.build_all(given(), pipe.send))
        except asyncio.CancelledError:
            _log.info("stopped")
        except Exception as error:
            pipe.send(error)


def _build_in_ray(spec: BuildSpec, job: ShardJob) -> ShardOutcome:
    """One shard, in a ray worker; one that an attempt before this one had finished is left as it is."""
    if job.done:
        return ShardOutcome(job)
    with log_in(spec.out), closing(ShardBuilder(spec)) as builder:
        return builder.run(_interruptible(builder.build(job)))


async def _interruptible(work: Awaitable[ShardOutcome]) -> ShardOutcome:
    """Await work. Ray cancels by an interruption without a signal, which a loop that waits hears of at its next turn."""

    async def turns() -> None:
        while True:
            await asyncio.sleep(HEARD_WITHIN)

    turning = asyncio.create_task(turns())
    try:
        return await work
    finally:
        turning.cancel()
