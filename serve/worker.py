"""The model's own thread: jobs in the order in which they came, and between them one token for every answer in work (ours)."""

import asyncio
import threading
from collections import deque
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from videorouter.routers.backbones.prompt import Prompt
from videorouter.routers.backbones.protocol import Backbone
from videorouter.routers.backbones.running_batch import Row
from videorouter.routers.backbones.sampling import Sampling
from videorouter.routers.backbones.text_batch import TextBatch
from videorouter.serve.chat.reply import FinishReason
from videorouter.serve.errors import Stopping

Result = TypeVar("Result")
LAST_JOB: Final = 2.0
"""Seconds that the thread may go on with its last job when it is closed."""


@dataclass(frozen=True)
class Wanted:
    """An answer to be decoded: at most `most_tokens`, chosen as `sampling` says, up to the first of `stops`."""

    prompt: Prompt
    most_tokens: int
    sampling: Sampling = field(default_factory=Sampling)
    stops: tuple[str, ...] = ()


@dataclass(frozen=True)
class Decoded:
    """How an answer ended: `reason` as OpenAI has it, its `text`, generated `tokens`, seconds until the first and after it."""

    reason: FinishReason
    text: str
    tokens: int
    prefill_seconds: float
    generate_seconds: float


@dataclass
class _Job:
    """Something to be done on the model's thread, whose result an event loop waits for."""

    job: Callable[..., Any]
    arguments: tuple[Any, ...]
    future: "Future[Any]" = field(default_factory=Future)

    def do(self) -> None:
        """Unless nobody waits any more."""
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            self.future.set_result(self.job(*self.arguments))
        except BaseException as error:
            self.future.set_exception(error)

    def refuse(self, error: Exception) -> None:
        """Tell who waits that it will not be done."""
        if self.future.set_running_or_notify_cancel():
            self.future.set_exception(error)


@dataclass
class _Answer:
    """An answer in work, between the thread and the event loop that listens to it."""

    wanted: Wanted
    loop: asyncio.AbstractEventLoop
    heard: "asyncio.Queue[str | Decoded | Exception]" = field(default_factory=asyncio.Queue)
    gone: bool = False
    row: Row | None = None

    def say(self, what: str | Decoded | Exception) -> bool:
        """Tell the listener; True where there is none any more."""
        if not self.gone:
            self.loop.call_soon_threadsafe(self.heard.put_nowait, what)
        return self.gone


class ModelWorker:
    """One thread that alone touches the model. At most `rows` answers are decoded in one batch, others wait."""

    def __init__(self, backbone: Backbone, rows: int = 8) -> None:
        self._backbone, self._rows = backbone, rows
        self._jobs: deque[_Job] = deque()
        self._waiting: deque[_Answer] = deque()
        self._decoding: list[_Answer] = []
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="model", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the thread is there."""
        return self._thread.is_alive()

    async def run(self, job: Callable[..., Result], *arguments: Any) -> Result:
        """`job(*arguments)` on the model's thread; one that has not begun when its caller is cancelled never begins."""
        asked = _Job(job, arguments)
        self._put(self._jobs, asked)
        result: Result = await asyncio.wrap_future(asked.future)
        return result

    async def decode(self, wanted: Wanted) -> AsyncGenerator[str | Decoded]:
        """The answer piece by piece, then how it ended. Closed early, it leaves the batch. Raises what the model raises."""
        answer = _Answer(wanted, asyncio.get_running_loop())
        self._put(self._waiting, answer)
        try:
            while True:
                heard = await answer.heard.get()
                if isinstance(heard, Exception):
                    raise heard
                yield heard
                if isinstance(heard, Decoded):
                    return
        finally:
            answer.gone = True

    def close(self) -> None:
        """End the thread after what it is doing; jobs and answers that wait, and answers in work, end with `Stopping`.

        It is still `alive` afterwards where that takes longer than `LAST_JOB`.
        """
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(LAST_JOB)

    def _put(self, queue: deque[Any], entry: Any) -> None:
        with self._changed:
            if self._closed:
                raise Stopping()
            queue.append(entry)
            self._changed.notify()

    def _work(self) -> None:
        batch = self._backbone.running_batch()
        while True:
            with self._changed:
                while not (self._closed or self._jobs or self._waiting or self._decoding):
                    self._changed.wait()
                if self._closed:
                    break
                job = self._jobs.popleft() if self._jobs else None
                room = self._rows - len(self._decoding)
                joining = [self._waiting.popleft() for _ in range(min(room, len(self._waiting)))]
            if job is not None:
                job.do()
                del job  # what it held is free while the thread waits
            for answer in joining:
                self._join(batch, answer)
            del joining
            if self._decoding:
                self._step(batch)
        for answer in [*self._decoding, *self._waiting]:
            answer.say(Stopping())
        for job in self._jobs:
            job.refuse(Stopping())

    def _join(self, batch: TextBatch, answer: _Answer) -> None:
        if answer.gone:
            return
        wanted = answer.wanted
        try:
            answer.row = batch.join(
                wanted.prompt,
                wanted.most_tokens,
                choose=wanted.sampling.for_row(),
                stops=wanted.stops,
                on_text=answer.say,
            )
        except Exception as error:
            answer.say(error)
            return
        self._decoding.append(answer)
        self._ended()

    def _step(self, batch: TextBatch) -> None:
        for answer in self._decoding:
            if answer.gone and answer.row is not None:
                batch.leave(answer.row)
        self._decoding = [answer for answer in self._decoding if not answer.gone]
        if self._decoding:
            batch.step()
        self._ended()

    def _ended(self) -> None:
        """Tell those whose answers are whole."""
        for answer in self._decoding:
            row = answer.row
            if row is not None and not row.running:
                if row.error is not None:
                    answer.say(row.error)
                else:
                    reason: FinishReason = "stop" if row.ended else "length"
                    answer.say(Decoded(reason, row.text, len(row.ids), row.prefill_seconds, row.generate_seconds))
        self._decoding = [answer for answer in self._decoding if answer.row is not None and answer.row.running]
