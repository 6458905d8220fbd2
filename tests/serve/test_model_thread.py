"""The model's thread: jobs in order, answers in one batch, nothing done for those who left, and an end for all who wait."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from videorouter.routers.answering.routed_question import prompt_without_video
from videorouter.routers.answering.video_router import VideoRouter
from videorouter.routers.backbones.layout import Dialogue
from videorouter.routers.backbones.prompt import Prompt
from videorouter.routers.backbones.protocol import Backbone
from videorouter.routers.backbones.running_batch import Row
from videorouter.routers.backbones.text_batch import TextBatch
from videorouter.serve.chat.request import parse_chat
from videorouter.serve.engines.own import OwnEngine
from videorouter.serve.errors import Stopping
from videorouter.serve.worker import Decoded, ModelWorker, Wanted


class CountedBatch:
    """A batch that counts its passes, and how many rows ran in each."""

    def __init__(self, batch: TextBatch) -> None:
        self._batch, self.rows = batch, list[int]()

    def join(self, *arguments: Any, **options: Any) -> Row:
        return self._batch.join(*arguments, **options)

    def step(self) -> list[Row]:
        self.rows.append(len(self._batch))
        return self._batch.step()

    def leave(self, row: Row) -> None:
        self._batch.leave(row)

    def __len__(self) -> int:
        return len(self._batch)


class Model:
    """A backbone as the worker sees it, whose one batch is counted."""

    def __init__(self, backbone: Backbone) -> None:
        self.batch = CountedBatch(backbone.running_batch())

    def running_batch(self) -> Any:
        return self.batch


@pytest.fixture(scope="module")
def backbone(base: Path) -> Backbone:
    return VideoRouter.from_base(str(base)).backbone


@pytest.fixture(scope="module")
def prompt(backbone: Backbone) -> Prompt:
    return prompt_without_video(backbone, "Hello.", Dialogue(None, (), ()))


@contextmanager
def _worker(backbone: Backbone, rows: int = 8) -> Iterator[tuple[ModelWorker, CountedBatch]]:
    model = Model(backbone)
    worker = ModelWorker(model, rows)  # type: ignore[arg-type]
    try:
        yield worker, model.batch
    finally:
        worker.close()
        assert not worker.alive


class Held:
    """A job that holds the thread until it is let go."""

    def __init__(self) -> None:
        self.begun, self.go = threading.Event(), threading.Event()

    def __call__(self) -> str:
        self.begun.set()
        assert self.go.wait(20)
        return "done"


async def _text(worker: ModelWorker, wanted: Wanted) -> tuple[str, Decoded]:
    heard = [one async for one in worker.decode(wanted)]
    assert isinstance(heard[-1], Decoded)
    return "".join(one for one in heard[:-1] if isinstance(one, str)), heard[-1]


def test_jobs_run_in_the_order_in_which_they_came(backbone: Backbone) -> None:
    async def ask(worker: ModelWorker) -> None:
        done: list[int] = []
        await asyncio.gather(*(worker.run(done.append, number) for number in range(50)))
        assert done == list(range(50))

    with _worker(backbone) as (worker, _):
        asyncio.run(ask(worker))


def test_a_job_whose_caller_left_never_begins(backbone: Backbone) -> None:
    async def ask(worker: ModelWorker) -> None:
        done: list[int] = []
        held = Held()
        first = asyncio.ensure_future(worker.run(held))
        await asyncio.to_thread(held.begun.wait, 20)
        left, stays = (asyncio.ensure_future(worker.run(done.append, number)) for number in (1, 2))
        await asyncio.sleep(0)
        left.cancel()
        first.cancel()  # it has begun, and ends by itself
        await asyncio.sleep(0)
        held.go.set()
        await stays
        assert done == [2]

    with _worker(backbone) as (worker, _):
        asyncio.run(ask(worker))


def test_a_job_that_fails_is_its_callers_alone(backbone: Backbone, prompt: Prompt) -> None:
    async def ask(worker: ModelWorker) -> None:
        with pytest.raises(ZeroDivisionError):
            await worker.run(lambda: 1 / 0)
        assert worker.alive
        assert (await _text(worker, Wanted(prompt, 3)))[1].tokens == 3

    with _worker(backbone) as (worker, _):
        asyncio.run(ask(worker))


def test_what_waits_together_is_decoded_together(backbone: Backbone, prompt: Prompt) -> None:
    """Six answers of nine tokens take the passes of one; each is what it is alone."""

    async def ask(worker: ModelWorker, batch: CountedBatch) -> None:
        alone = await _text(worker, Wanted(prompt, 9))
        assert alone[1].reason == "length"
        batch.rows.clear()
        held = Held()
        job = asyncio.ensure_future(worker.run(held))
        answers = [asyncio.ensure_future(_text(worker, Wanted(prompt, 9))) for _ in range(6)]
        await asyncio.sleep(0.05)
        held.go.set()
        found = await asyncio.gather(*answers)
        assert await job == "done"
        assert [text for text, _ in found] == [alone[0]] * 6
        assert batch.rows[-1] == 6
        assert len(batch.rows) <= 10

    with _worker(backbone) as (worker, batch):
        asyncio.run(ask(worker, batch))


def test_no_more_rows_than_there_may_be(backbone: Backbone, prompt: Prompt) -> None:
    async def ask(worker: ModelWorker, batch: CountedBatch) -> None:
        await asyncio.gather(*(_text(worker, Wanted(prompt, 5)) for _ in range(7)))
        assert max(batch.rows) == 2

    with _worker(backbone, rows=2) as (worker, batch):
        asyncio.run(ask(worker, batch))


def test_jobs_run_between_the_tokens_of_an_answer(backbone: Backbone, prompt: Prompt) -> None:
    async def ask(worker: ModelWorker, batch: CountedBatch) -> None:
        answer = asyncio.ensure_future(_text(worker, Wanted(prompt, 200)))
        while not batch.rows:
            await asyncio.sleep(0.001)
        await worker.run(lambda: None)
        assert not answer.done()
        answer.cancel()

    with _worker(backbone) as (worker, batch):
        asyncio.run(ask(worker, batch))


def test_an_answer_whose_client_left_leaves_the_batch(backbone: Backbone, prompt: Prompt) -> None:
    """Also one that nobody reads any more, and one that had not begun."""

    async def ask(worker: ModelWorker, batch: CountedBatch) -> None:
        pieces = worker.decode(Wanted(prompt, 400))
        cancelled = asyncio.ensure_future(_text(worker, Wanted(prompt, 400)))
        stays = asyncio.ensure_future(_text(worker, Wanted(prompt, 60)))
        assert isinstance(await anext(aiter(pieces)), str)
        while 3 not in batch.rows:
            await asyncio.sleep(0.001)
        await pieces.aclose()
        cancelled.cancel()
        assert (await stays)[1].tokens == 60
        assert len(batch) == 0
        assert len(batch.rows) < 100
        held = Held()
        job = asyncio.ensure_future(worker.run(held))
        await asyncio.to_thread(held.begun.wait, 20)
        batch.rows.clear()
        waiting = asyncio.ensure_future(_text(worker, Wanted(prompt, 400)))
        await asyncio.sleep(0.01)
        waiting.cancel()
        await asyncio.sleep(0.01)
        held.go.set()
        await job
        await worker.run(lambda: None)
        assert batch.rows == []

    with _worker(backbone) as (worker, batch):
        asyncio.run(ask(worker, batch))


def test_a_stream_of_the_own_engine_that_is_closed_leaves_the_batch(
    base: Path, backbone: Backbone, prompt: Prompt
) -> None:
    async def ask(worker: ModelWorker, batch: CountedBatch) -> None:
        engine = OwnEngine(VideoRouter.from_base(str(base)), worker, 500)
        body = {"messages": [{"role": "user", "content": "Hello."}], "max_tokens": 500}
        pieces = engine.stream(prompt, parse_chat(body))
        await anext(pieces)
        await pieces.aclose()
        await worker.run(lambda: None)
        await worker.run(lambda: None)
        assert len(batch) == 0
        assert len(batch.rows) < 100

    with _worker(backbone) as (worker, batch):
        asyncio.run(ask(worker, batch))


def test_a_prompt_that_cannot_join_is_its_own_error(backbone: Backbone, prompt: Prompt) -> None:
    async def ask(worker: ModelWorker) -> None:
        limit = prompt_without_video(backbone, "word " * 40_000, Dialogue(None, (), ()))
        good, bad = await asyncio.gather(
            _text(worker, Wanted(prompt, 5)), _text(worker, Wanted(limit, 5)), return_exceptions=True
        )
        assert isinstance(bad, ValueError)
        assert isinstance(good, tuple)
        assert worker.alive

    with _worker(backbone) as (worker, _):
        asyncio.run(ask(worker))


def test_a_closed_worker_tells_all_who_wait(backbone: Backbone, prompt: Prompt) -> None:
    """Jobs and answers that wait, answers in work, and whoever comes later; the job that runs is finished."""

    async def ask(worker: ModelWorker, batch: CountedBatch) -> None:
        answer = asyncio.ensure_future(_text(worker, Wanted(prompt, 10_000)))
        while not batch.rows:
            await asyncio.sleep(0.001)
        held = Held()
        job = asyncio.ensure_future(worker.run(held))
        await asyncio.to_thread(held.begun.wait, 20)
        waiting = [asyncio.ensure_future(worker.run(print)), asyncio.ensure_future(_text(worker, Wanted(prompt, 5)))]
        await asyncio.sleep(0.01)
        closing = asyncio.ensure_future(asyncio.to_thread(worker.close))
        await asyncio.sleep(0.05)
        held.go.set()
        await closing
        assert await job == "done"
        ends = await asyncio.wait_for(asyncio.gather(answer, *waiting, return_exceptions=True), 10)
        assert [type(end) for end in ends] == [Stopping] * 3
        with pytest.raises(Stopping):
            await worker.run(print)

    with _worker(backbone) as (worker, batch):
        asyncio.run(ask(worker, batch))
