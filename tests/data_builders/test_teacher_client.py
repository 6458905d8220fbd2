"""The teacher: an answer is paid once and kept before it is used; an endpoint that stumbles is waited for, not given up."""

import asyncio
import json
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from videorouter.data_builders.building.ledger import Caps, Ledger
from videorouter.data_builders.teacher.client import TeacherClient
from videorouter.data_builders.teacher.concurrency import ConcurrencyLimit
from videorouter.data_builders.teacher.config import TeacherConfig, Usage
from videorouter.data_builders.teacher.errors import BudgetSpent, TeacherFailure, TeacherUnavailable
from videorouter.data_builders.teacher.journal import Answer, Journal
from videorouter.data_builders.teacher.replies import QuestionCategory
from videorouter.data_builders.teacher.teacher import Teacher

REPLY = json.dumps({"category": "counting", "reason": "it counts"})


@dataclass
class Endpoint:
    """A scripted endpoint: `behave(n, text)` gives the n-th response (from 0), None a good one."""

    behave: Callable[[int, str], Response | None]
    delay: float = 0.0
    usage: bool = True
    seen: list[str] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    inside: int = 0
    most: int = 0

    async def complete(self, request: Request) -> Response:
        body = await request.json()
        self.keys.add(request.headers["authorization"])
        text = body["messages"][0]["content"][0]["text"]
        number = len(self.seen)
        self.seen.append(text)
        self.inside += 1
        self.most = max(self.most, self.inside)
        try:
            await asyncio.sleep(self.delay)
        finally:
            self.inside -= 1
        return self.behave(number, text) or completion(REPLY, self.usage)

    async def models(self, _: Request) -> Response:
        return JSONResponse({"object": "list", "data": []})


def completion(content: str, usage: bool = True) -> Response:
    message = {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"}
    body = {"id": "x", "object": "chat.completion", "created": 0, "model": "m", "choices": [message]}
    counts = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
    return JSONResponse(body | ({"usage": counts} if usage else {}))


def good(_: int, __: str) -> None:
    return None


@contextmanager
def serving(endpoint: Endpoint, port: int = 0) -> Iterator[str]:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    routes = [
        Route("/v1/chat/completions", endpoint.complete, methods=["POST"]),
        Route("/v1/models", endpoint.models),
    ]
    server = uvicorn.Server(uvicorn.Config(Starlette(routes=routes), log_level="error"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
    finally:
        server.should_exit = True
        thread.join(timeout=10)


async def category(teacher: Teacher, question: str) -> str:
    return await teacher.ask(f"Question: {question}", [], QuestionCategory, lambda reply: str(reply.category))


async def ask_all(teacher: Teacher, questions: list[str]) -> list[str]:
    return await asyncio.gather(*(category(teacher, question) for question in questions))


def test_an_answer_is_paid_once_also_over_restarts(tmp_path: Path) -> None:
    endpoint = Endpoint(good)
    with serving(endpoint) as url:
        for _ in range(2):
            with closing(Journal(tmp_path / "j.sqlite")) as journal:
                teacher = Teacher(TeacherConfig(url), journal=journal)
                assert asyncio.run(ask_all(teacher, ["a", "b", "a"])) == ["counting"] * 3
        assert sorted(endpoint.seen) == ["Question: a", "Question: b"]
        assert teacher.usage.requests == 0
        assert teacher.used.requests == 3


def test_another_model_or_prompt_is_asked_anew(tmp_path: Path) -> None:
    endpoint = Endpoint(good)
    with serving(endpoint) as url, closing(Journal(tmp_path / "j.sqlite")) as journal:
        for model in ("m", "n"):
            asyncio.run(ask_all(Teacher(TeacherConfig(url, model), journal=journal), ["a"]))
        assert len(endpoint.seen) == 2
        assert {model: usage.requests for model, usage in journal.spent().items()} == {"m": 1, "n": 1}


def test_an_answer_is_on_disk_before_it_is_used(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"

    async def look() -> int:
        teacher = Teacher(TeacherConfig(url), journal=journal)
        await category(teacher, "a")
        copy = tmp_path / "copy.sqlite"  # the journal is held exclusively: what a crash would leave is looked at
        copy.write_bytes(path.read_bytes())
        with closing(sqlite3.connect(copy)) as connection:
            count: int = connection.execute("SELECT COUNT(*) FROM answers").fetchone()[0]
        return count

    with serving(Endpoint(good)) as url, closing(Journal(path)) as journal:
        assert asyncio.run(look()) == 1


def test_two_builds_never_share_a_journal(tmp_path: Path) -> None:
    with (
        closing(Journal(tmp_path / "j.sqlite")),
        pytest.raises(ValueError, match="another build works on this shard"),
    ):
        Journal(tmp_path / "j.sqlite")


def test_a_file_that_is_no_journal_is_named(tmp_path: Path) -> None:
    (tmp_path / "j.sqlite").write_bytes(b"not a database at all, but longer than a header" * 50)
    with pytest.raises(ValueError, match=r"j\.sqlite is not a journal"):
        Journal(tmp_path / "j.sqlite")


def test_the_same_request_on_its_way_is_not_sent_twice() -> None:
    endpoint = Endpoint(good, delay=0.2)
    with serving(endpoint) as url:
        assert asyncio.run(ask_all(Teacher(TeacherConfig(url)), ["a"] * 5)) == ["counting"] * 5
    assert len(endpoint.seen) == 1


def test_429_stops_requests_for_as_long_as_asked_and_halves_concurrency() -> None:
    def busy(number: int, _: str) -> Response | None:
        return JSONResponse({"error": {"message": "slow down"}}, 429, {"Retry-After": "0.3"}) if number < 8 else None

    endpoint = Endpoint(busy, delay=0.02)
    with serving(endpoint) as url:
        client = TeacherClient(TeacherConfig(url, concurrency=8))
        start = time.monotonic()
        asyncio.run(ask_all(Teacher(client.config, client), [str(i) for i in range(12)]))
    assert time.monotonic() - start >= 0.3
    assert 4 <= client.concurrency.limit < 8
    assert len(endpoint.seen) == 8 + 12


def test_a_request_that_fails_is_repeated_and_then_put_aside_alone() -> None:
    def poisoned(_: int, text: str) -> Response | None:
        return JSONResponse({"error": {"message": "boom"}}, 500) if "poison" in text else None

    endpoint = Endpoint(poisoned)
    with serving(endpoint) as url:
        teacher = Teacher(TeacherConfig(url, attempts=1))

        async def both() -> tuple[object, object]:
            return await asyncio.gather(category(teacher, "poison"), category(teacher, "fine"), return_exceptions=True)

        failed, fine = asyncio.run(both())
    assert isinstance(failed, TeacherFailure)
    assert failed.verdict == "server_error"
    assert fine == "counting"
    assert sum("poison" in text for text in endpoint.seen) == 2


def test_a_teacher_that_dies_and_returns_is_waited_for() -> None:
    endpoint = Endpoint(good)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    async def through_death() -> list[str]:
        teacher = Teacher(TeacherConfig(f"http://127.0.0.1:{port}/v1", patience=20))
        asking = asyncio.create_task(ask_all(teacher, ["a", "b"]))
        await asyncio.sleep(1.5)
        assert not asking.done()
        with serving(endpoint, port):
            return await asking

    assert asyncio.run(through_death()) == ["counting"] * 2


def test_waiting_ends_with_the_address() -> None:
    teacher = Teacher(TeacherConfig("http://127.0.0.1:9/v1", wait=0.5))
    start = time.monotonic()
    with pytest.raises(TeacherUnavailable, match=r"127\.0\.0\.1:9/v1 gave no answer"):
        asyncio.run(category(teacher, "a"))
    assert time.monotonic() - start < 10


def test_another_endpoint_takes_over_where_one_is_away_or_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY_A", "aaa")
    monkeypatch.setenv("KEY_B", "bbb")
    forbidden = Endpoint(lambda *_: JSONResponse({"error": {"message": "no such model"}}, 404))
    fine = Endpoint(good)
    with serving(forbidden) as one, serving(fine) as two:
        urls = f"http://127.0.0.1:9/v1, {one}, {two}"
        config = TeacherConfig(urls, key_variable="KEY_A,KEY_A,KEY_B", concurrency=3)
        assert asyncio.run(ask_all(Teacher(config), [str(i) for i in range(6)])) == ["counting"] * 6
    assert len(forbidden.seen) <= 3
    assert fine.keys == {"Bearer bbb"}


def test_keys_are_written_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    with serving(Endpoint(good)) as url:
        ledger = Ledger.open(tmp_path, None, Caps(), "m")
        with closing(ledger.journal("s")) as journal:
            asyncio.run(ask_all(Teacher(TeacherConfig(url, "m"), journal=journal), ["a"]))
    assert all(b"sk-very-secret" not in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


def prices(folder: Path) -> Path:
    (folder / "prices.yaml").write_text("m: {input: 1000, output: 10000}\n")  # 0.1 + 0.1 dollars a request here
    return folder / "prices.yaml"


@pytest.mark.parametrize("caps", [Caps(max_tokens=1100), Caps(max_usd=2.0)])
def test_a_cap_is_exceeded_by_no_more_than_what_is_in_flight(tmp_path: Path, caps: Caps) -> None:
    endpoint = Endpoint(good, delay=0.02)
    ledger = Ledger.open(tmp_path, prices(tmp_path), caps, "m")
    with serving(endpoint) as url, closing(ledger.journal("s")) as journal:
        config = TeacherConfig(url, "m", concurrency=4)
        teacher = Teacher(config, TeacherClient(config, ledger.admit), journal)
        with pytest.raises(BudgetSpent, match=r"max_tokens is 1100|max_usd is 2"):
            asyncio.run(teacher.draining(ask_all(teacher, [str(i) for i in range(100)])))
    assert 10 <= len(endpoint.seen) <= 10 + 4 - 1
    totals = ledger.totals()
    assert totals.usage.requests == len(endpoint.seen)
    assert totals.usd == pytest.approx(0.2 * len(endpoint.seen))


def test_all_shards_of_a_process_tell_the_same_reason_for_stopping() -> None:
    """One shard meets the cap and drains; another, told meanwhile that the run stops, must not call the teacher away."""
    reasons = [BudgetSpent("the cap is reached")]

    def admit(unsettled: Usage) -> None:
        if reasons:
            raise reasons.pop()

    async def both(url: str) -> None:
        config = TeacherConfig(url, "m")
        client = TeacherClient(config, admit)
        first, second = Teacher(config, client), Teacher(config, client)
        with pytest.raises(BudgetSpent):
            await first.draining(ask_all(first, ["a"]))
        with pytest.raises(BudgetSpent, match="the cap is reached"):
            await ask_all(second, ["b"])

    with serving(Endpoint(good)) as url:
        asyncio.run(both(url))


def test_totals_survive_the_loss_of_the_ledger(tmp_path: Path) -> None:
    with serving(Endpoint(good)) as url:
        ledger = Ledger.open(tmp_path, prices(tmp_path), Caps(), "m")
        with closing(ledger.journal("s")) as journal:
            asyncio.run(ask_all(Teacher(TeacherConfig(url, "m"), journal=journal), ["a", "b"]))
    (tmp_path / "ledger.sqlite").unlink()
    assert Ledger.open(tmp_path, prices(tmp_path), Caps(), "m").totals() == ledger.totals()


def test_a_journal_that_was_not_closed_is_put_in_order_by_the_next_run(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path, None, Caps(), "m")
    journal = ledger.journal("s")
    asyncio.run(journal.keep("k", Answer("m", "{}", Usage(1, 0, 5, 5))))
    left = {path.name: path.read_bytes() for path in (tmp_path / "answers").iterdir()}  # what a kill would leave
    journal.close()
    for name, content in left.items():
        (tmp_path / "answers" / name).write_bytes(content)
    assert "s.sqlite-journal" in left
    assert Ledger.open(tmp_path, None, Caps(), "m").totals().usage == Usage(1, 0, 5, 5)
    assert [path.name for path in (tmp_path / "answers").iterdir()] == ["s.sqlite"]


def test_a_cap_in_dollars_needs_a_price(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="needs the price of 'other'"):
        Ledger.open(tmp_path, prices(tmp_path), Caps(max_usd=1), "other")
    (tmp_path / "prices.yaml").write_text("m: {input: free}\n")
    with pytest.raises(ValueError, match=r"prices\.yaml is not a price table"):
        Ledger.open(tmp_path, tmp_path / "prices.yaml", Caps(), "m")


def test_tokens_are_estimated_where_the_endpoint_does_not_count() -> None:
    with serving(Endpoint(good, usage=False)) as url:
        teacher = Teacher(TeacherConfig(url))
        asyncio.run(category(teacher, "x" * 400))
    assert teacher.usage.estimated == 1
    assert teacher.usage.tokens_in >= 100


def test_requests_in_flight_are_let_in_first_come_first_served() -> None:
    async def run() -> list[int]:
        limit, order = ConcurrencyLimit(2), []

        async def pass_through(number: int) -> None:
            async with limit:
                order.append(number)
                assert limit.in_flight <= 2
                await asyncio.sleep(0.001)

        await asyncio.gather(*(pass_through(i) for i in range(20)))
        return order

    assert asyncio.run(run()) == list(range(20))


def test_a_task_cancelled_while_it_waits_takes_no_place() -> None:
    async def run() -> None:
        limit = ConcurrencyLimit(1)
        await limit.__aenter__()
        waiting = asyncio.create_task(limit.__aenter__())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await limit.__aexit__()
        await asyncio.wait_for(limit.__aenter__(), 1)

    asyncio.run(run())
