"""A full server says when to come again, a stopped one tells those it still works for; both leave nothing behind."""

import json
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest

from tests.serve.openai_upstream import SLOWLY, UpstreamProcess
from tests.serve.questions import first_questions
from tests.serve.running_server import RunningServer, running_server

SLOW = {"messages": [{"role": "user", "content": f"Tell me {SLOWLY}."}], "stream": True}


def _options(upstream: UpstreamProcess) -> list[str]:
    return ["--engine", "frames", "--upstream", upstream.address, "--frames", "8"]


def _events(server: RunningServer) -> list[Any]:
    """Of a slow answer, until it ends."""
    with httpx2.stream("POST", f"{server.address}/v1/chat/completions", json=SLOW, timeout=60) as response:
        return [json.loads(line[6:]) for line in response.iter_lines() if line.startswith("data: {")]


def _wait(what: str, until: Any) -> None:
    deadline = time.monotonic() + 20
    while not until():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def _ended_well(server: RunningServer) -> None:
    assert "Traceback" not in server.said, server.said[-3000:]
    assert list((server.folder / "tmp").glob("videorouter*")) == []


@pytest.mark.parametrize(("number", "code", "most"), [(signal.SIGTERM, 0, 11.0), (signal.SIGINT, 130, 7.0)])
def test_answers_in_work_get_some_seconds_and_then_an_error(
    tmp_path: Path, upstream: UpstreamProcess, number: int, code: int, most: float
) -> None:
    """A stream has it as its last event, an upload that is still coming as its answer."""
    with running_server(tmp_path, *_options(upstream)) as server, ThreadPoolExecutor() as threads:
        streamed = threads.submit(_events, server)
        _wait("the stream", lambda: upstream.streaming() == 1)
        coming = socket.create_connection(("127.0.0.1", int(server.address.rpartition(":")[2])))
        coming.sendall(b"POST /v1/files HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\nabc")
        time.sleep(0.5)
        ended, seconds = server.stop(number)
        assert (ended, seconds < most) == (code, True), (ended, seconds)
        events = streamed.result(20)
        assert [choice["delta"]["content"] for event in events[1:4] for choice in event["choices"]] == ["word "] * 3
        assert (events[-1]["error"]["code"], events[-1]["error"]["status"]) == ("stopping", 503)
        head, _, told = coming.recv(65_536).partition(b"\r\n\r\n")
        assert b" 503 " in head
        assert json.loads(told)["error"]["code"] == "stopping"
        coming.close()
        lines = [line for line in server.said.splitlines() if line.startswith("interrupted")]
        assert len(lines) == (1 if number == signal.SIGINT else 0)
        _ended_well(server)
        _wait("the upstream is told", lambda: upstream.streaming() == 0)


@pytest.mark.parametrize(
    ("number", "code", "most"),
    [(signal.SIGTERM, 0, 10.0), pytest.param(signal.SIGINT, 130, 5.0, marks=pytest.mark.slow)],
)
def test_a_long_pass_of_the_model_is_left_behind(
    world: Path, tmp_path: Path, number: int, code: int, most: float
) -> None:
    """The process ends around it in order, in time, and who asked is told."""
    options = ("--media_root", str(world), "--most_question_tokens", "100000")
    with running_server(tmp_path, *options) as server, ThreadPoolExecutor() as threads:
        wishes = {"policy": "fragment", "question": "What is shown at the corner? " * 300}
        answer = threads.submit(server.chat, first_questions(world, 1)[0] | {"videorouter": wishes})
        _wait("it is encoded", lambda: server.metric("videorouter_frames_encoded_total") > 0)
        time.sleep(1)
        ended, seconds = server.stop(number)
        assert (ended, seconds < most) == (code, True), (ended, seconds)
        assert answer.result().json()["error"]["code"] == "stopping"
        assert "terminate called" not in server.said
        assert server.said.count("interrupted") == (number == signal.SIGINT)
        _ended_well(server)


@pytest.mark.slow
def test_the_log_has_the_status_that_clients_saw(tmp_path: Path, upstream: UpstreamProcess) -> None:
    """Of a stream, and of a chat and an upload that still come in: 503, not that the client left."""
    log = tmp_path / "log.jsonl"
    with running_server(tmp_path, *_options(upstream), "--log", str(log)) as server, ThreadPoolExecutor() as threads:
        streamed = threads.submit(_events, server)
        coming = []
        for path in (b"/v1/files", b"/v1/chat/completions"):
            coming.append(socket.create_connection(("127.0.0.1", int(server.address.rpartition(":")[2]))))
            coming[-1].sendall(b"POST " + path + b" HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\n{")
        _wait("both chats", lambda: server.metric("videorouter_requests_in_work") == 2)
        assert server.stop(signal.SIGINT)[0] == 130
        assert streamed.result(20)[-1]["error"]["status"] == 503
        for one in coming:
            assert b" 503 " in one.recv(100)
            one.close()
    told = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    ended = sorted((one["way"], one["status"]) for one in told if one["way"] in ("chat", "files"))
    assert ended == [("chat", 503), ("chat", 503), ("files", 503)]


@pytest.mark.slow
def test_a_short_answer_is_finished_and_the_decoders_end(world: Path, tmp_path: Path) -> None:
    """Its video is decoded while the server is asked to stop."""
    with (
        running_server(tmp_path, "--media_root", str(world), "--frames", "8") as server,
        ThreadPoolExecutor() as threads,
    ):
        body = first_questions(world, 1)[0]
        server.chat(body)
        decoders = psutil.Process(server.process.pid).children(recursive=True)
        assert decoders
        answer = threads.submit(server.chat, body | {"videorouter": {"frames": 64}})
        _wait("it is in work", lambda: server.metric("videorouter_requests_in_work") > 0 or answer.done())
        assert server.stop()[0] == 0
        assert answer.result().status_code == 200
        _ended_well(server)
        assert psutil.wait_procs(decoders, timeout=5)[1] == []


def test_a_full_server_is_429_and_says_when_to_come_again(tmp_path: Path, upstream: UpstreamProcess) -> None:
    """Clients that leave give their places back, and their answers are no longer worked at upstream."""
    with running_server(tmp_path, *_options(upstream), "--most_waiting", "2") as server:
        plain = {"messages": [{"role": "user", "content": "Hello."}]}
        with httpx2.Client(base_url=server.address, timeout=60) as client:
            first, second = (client.stream("POST", "/v1/chat/completions", json=SLOW) for _ in range(2))
            with first, second:
                _wait("both", lambda: upstream.streaming() == 2)
                for _ in range(3):
                    full = server.chat(plain)
                    assert full.status_code == 429
                    assert full.json()["error"]["type"] == "rate_limit_error"
                    assert int(full.headers["retry-after"]) >= 1
                assert server.get("/health").status_code == 200
        _wait("left", lambda: server.metric("videorouter_requests_in_work") == 0)
        _wait("left upstream", lambda: upstream.streaming() == 0)
        assert server.chat(plain).status_code == 200
        assert server.metric("videorouter_requests_total", way="chat", status="429") == 3
        assert server.metric("videorouter_requests_total", way="chat", status="499") == 2
        assert server.stop()[0] == 0
        _ended_well(server)
