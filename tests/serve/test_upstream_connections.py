"""Connections to an upstream: used again for the next request, and not once the upstream may be about to close them."""

import asyncio
import json

import pytest

from videorouter.serve.engines import upstream
from videorouter.serve.engines.upstream import Upstream

ANSWER = json.dumps({"data": [{"id": "tiny"}]}).encode()


@pytest.mark.parametrize(("idle", "connections"), [(0.0, 1), (0.3, 2)])
def test_a_connection_that_was_idle_for_long_is_not_used_again(
    monkeypatch: pytest.MonkeyPatch, idle: float, connections: int
) -> None:
    monkeypatch.setattr(upstream, "IDLE", 0.1)
    opened = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        opened.append(writer)
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n")
            writer.write(b"Content-Length: %d\r\n\r\n%b" % (len(ANSWER), ANSWER))

    async def ask() -> None:
        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            asked = Upstream(f"http://127.0.0.1:{port}/v1", None)
            await asked.find_model()
            await asyncio.sleep(idle)
            assert await asked.healthy()
            assert asked.model == "tiny"
            await asked.close()

    asyncio.run(ask())
    assert len(opened) == connections


def test_connections_are_left_before_vllm_would_close_them() -> None:
    from uvicorn import Config

    assert Config("application").timeout_keep_alive > 2 * upstream.IDLE
