"""A server on a free loopback port that answers with whatever bytes a test wants, well-formed or not."""

import socketserver
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Thread
from typing import Any

Answer = Callable[[bytes, Callable[[bytes], Any]], None]
"""From a request's head, and with what sends bytes."""


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address, daemon_threads = True, True
    request_queue_size = 128
    answer: Answer
    heads: list[bytes]
    context: ssl.SSLContext | None

    def finish_request(self, request: Any, client_address: Any) -> None:
        with suppress(OSError):  # in the connection's own thread, where a handshake keeps nobody waiting
            secured = self.context.wrap_socket(request, server_side=True) if self.context else request
            super().finish_request(secured, client_address)


class _Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, _Server)
        head = b""
        with suppress(OSError):
            while b"\r\n\r\n" not in head:
                if not (line := self.rfile.readline()):
                    return
                head += line
            self.server.heads.append(head)
            self.server.answer(head, self.wfile.write)


@contextmanager
def raw_server(answer: Answer, context: ssl.SSLContext | None = None) -> Iterator[tuple[int, list[bytes]]]:
    """Its port, and the heads of the requests so far; over TLS where a `context` is given."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.answer, server.heads, server.context = answer, [], context
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield server.server_address[1], server.heads
        finally:
            server.shutdown()
            thread.join(10)


def response(body: bytes, *headers: str, status: str = "200 OK", length: int | None = None) -> bytes:
    """A whole HTTP/1.1 response, whose Content-Length may be a lie."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body) if length is None else length}", *headers]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode() + body
