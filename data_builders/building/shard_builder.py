"""Builds shards: one code path under every executor. A process makes one `ShardBuilder` for all of its shards."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

from videorouter.data_builders.building.labeller import Labeller, Recipe
from videorouter.data_builders.building.ledger import Ledger
from videorouter.data_builders.building.plan import ShardJob, VideoJob
from videorouter.data_builders.rejects import Reject, reject_of
from videorouter.data_builders.teacher.client import TeacherClient
from videorouter.data_builders.teacher.config import TeacherConfig
from videorouter.data_builders.teacher.errors import TeacherStopped
from videorouter.data_builders.teacher.fault import Heard, Met, Streaks
from videorouter.data_builders.teacher.teacher import Teacher
from videorouter.data_builders.videos import FrameConfig, VideoFolder
from videorouter.shards.sample import ShardSample
from videorouter.shards.writer import write_shard
from videorouter.video.errors import VideoError
from videorouter.video.verdict_cache import VerdictCache

_log = logging.getLogger(__name__)

VERDICTS = "verdicts"
SHARDS_AT_ONCE = 2
"""While the last answers of one shard are awaited, the next one's videos are decoded and asked about."""

Result = TypeVar("Result")
Built = tuple[ShardSample | None, list[Reject]]
"""What a video came to: its sample where a question was labelled, and what was put aside."""


@dataclass(frozen=True)
class BuildSpec:
    """All that a process must know to build any shard of a run, picklable; `teacher` is None for builds that ask none.

    `streaks` is counted on by every process that gets it for itself.
    """

    out: Path
    fingerprint: str
    frames: FrameConfig
    recipe: Recipe
    ledger: Ledger
    teacher: TeacherConfig | None
    streaks: Streaks = field(default_factory=Streaks)


@dataclass(frozen=True)
class ShardOutcome:
    """How the work on one shard ended; `stopped` says why it did before its end.

    `heard` is what its requests came to, in `process`, whose `doubts` come with what stopped it.
    """

    job: ShardJob
    stopped: TeacherStopped | None = None
    heard: Heard = field(default_factory=Heard)
    doubts: tuple[Met, ...] = ()
    process: int = field(default_factory=os.getpid)


Finished = Callable[[ShardOutcome], None]
"""Called with every shard the work on which ended."""


class ShardBuilder:
    """What one process needs for its shards: decoding, a client of the teacher, a labeller for each shard."""

    def __init__(self, spec: BuildSpec) -> None:
        self.spec = spec
        self.videos = VideoFolder(spec.frames, VerdictCache(spec.out / VERDICTS))
        self.labeller = spec.recipe(self.videos)
        self._client = TeacherClient(spec.teacher or TeacherConfig(), spec.ledger.admit, spec.streaks.answered)
        self._decoding = ThreadPoolExecutor(spec.frames.decoders, "decoding")

    def close(self) -> None:
        """End decoding."""
        self.videos.close()
        self._decoding.shutdown(cancel_futures=True)

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Run a coroutine of this builder in an event loop of its own, once. Raises `OSError` where the folder takes no more."""
        try:
            return asyncio.run(self._client.run(work))
        except BaseExceptionGroup as group:
            raise first_of(group) from group

    async def build_all(self, jobs: AsyncIterator[ShardJob], finished: Finished) -> None:
        """Build shards as they come, two at a time; after one that was stopped no other is begun."""
        free, stopped = asyncio.Semaphore(SHARDS_AT_ONCE), asyncio.Event()

        async def build(job: ShardJob) -> None:
            outcome = await self.build(job)
            if outcome.stopped:
                stopped.set()
            finished(outcome)
            free.release()

        async with asyncio.TaskGroup() as group:
            async for job in jobs:
                await free.acquire()
                if stopped.is_set():
                    break
                group.create_task(build(job))

    async def build(self, job: ShardJob) -> ShardOutcome:
        """Label one shard's videos concurrently, and write it once all of them are done."""
        stopped: TeacherStopped | None = None
        heard = Heard()
        try:
            async with self.teacher(job) as teacher, asyncio.TaskGroup() as group:
                heard, count = teacher.heard, _Count(self.spec.ledger, job)
                tasks = [group.create_task(self._counted(video, teacher, count)) for video in job.videos]
        except* TeacherStopped as stops:
            stopped = first_stop(stops)
        if stopped is not None:
            return ShardOutcome(job, stopped, heard, self.spec.streaks.doubts)
        await asyncio.to_thread(self._write, job, [task.result() for task in tasks])
        return ShardOutcome(job, None, heard)

    async def build_video(self, job: VideoJob, labeller: Labeller) -> Built:
        """Prepare and label one video; whatever that raises puts it aside. Raises `TeacherStopped` and `AnswerNotKept`."""
        loop, stage = asyncio.get_running_loop(), "video"
        try:
            video = await loop.run_in_executor(self._decoding, labeller.prepare, job)
            stage = "label"
            labelled, rejects = await labeller.label(video, job)
        except VideoError as error:
            return None, [Reject(job.video, "video", error.verdict, str(error))]
        except Exception as error:
            return None, [reject_of(job.video, stage, error)]
        return (ShardSample(job.key, video.record, labelled, video.jpegs) if labelled else None), rejects

    @asynccontextmanager
    async def teacher(self, job: ShardJob) -> AsyncIterator[Teacher]:
        """The teacher with the journal of a shard. Requests in flight when the work fails are awaited: they are paid."""
        if self.spec.teacher is None:
            yield Teacher(TeacherConfig(), self._client)
            return
        with closing(self.spec.ledger.journal(job.path.stem)) as journal:
            teacher = Teacher(self.spec.teacher, self._client, journal, self.spec.streaks)
            try:
                yield teacher
            except BaseException as error:
                await teacher.drain(error)
                raise

    async def _counted(self, job: VideoJob, teacher: Teacher, count: "_Count") -> Built:
        built = await self.build_video(job, self.labeller(teacher.about(job.video)))
        for reject in built[1]:
            _log.info("quarantine: %s (%s): %s", reject.item, reject.verdict, reject.reason)
        await asyncio.to_thread(count.add, built)
        return built

    def _write(self, job: ShardJob, built: list[Built]) -> None:
        """Raises `OSError` naming the shard: a disk that is full, or a folder that may not be written, is no item's fault."""
        try:
            self._write_shard(job, built)
        except OSError as error:
            if error.errno is None:
                raise
            raise OSError(error.errno, error.strerror, error.filename or str(job.path)) from error

    def _write_shard(self, job: ShardJob, built: list[Built]) -> None:
        rejects = [reject for _, rejected in built for reject in rejected]
        samples = [sample for sample, _ in built if sample is not None]
        job.keep_rejects(rejects)
        if samples:
            write_shard(job.path, samples, self.spec.fingerprint)
        else:
            job.mark_nothing()


class _Count:
    """How far a shard is, recorded in the ledger after every video, from any thread."""

    def __init__(self, ledger: Ledger, job: ShardJob) -> None:
        self._ledger, self._part = ledger, job.path.stem
        self._videos = self._questions = self._failures = 0
        self._one_at_a_time = Lock()

    def add(self, built: Built) -> None:
        sample, rejects = built
        with self._one_at_a_time:  # the later sum must be written later, too
            self._videos += 1
            self._questions += len(sample.questions) if sample else 0
            self._failures += sum(reject.failed for reject in rejects)
            self._ledger.record_done(self._part, self._videos, self._questions, self._failures)


def first_of(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first exception found in a group of them."""
    first = group.exceptions[0]
    return first_of(first) if isinstance(first, BaseExceptionGroup) else first


def first_stop(stops: BaseExceptionGroup[TeacherStopped]) -> TeacherStopped:
    """The first reason found in a group of them."""
    first = first_of(stops)
    assert isinstance(first, TeacherStopped)
    return first
