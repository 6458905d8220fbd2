"""Faults below HTTP's meaning: pauses, drips, resets, lengths that lie, encodings, redirects, and connections refused."""

import gzip
import json
import zlib
from collections.abc import Callable, Iterable
from itertools import chain, repeat

from tests.loopback.endpoint.asked import Asked, every, first_try
from tests.loopback.endpoint.mode import ASIDE, AWAY, FINE, REFUSED, Behaviour, Completion, Mode, mode, sends
from tests.loopback.endpoint.refusals import ODD_CLIP
from tests.loopback.endpoint.sent import Sent, head, raw, response

JSON = "Content-Type: application/json"
OFTEN = every(9)


def body(of: Callable[[bytes], Sent]) -> Behaviour:
    """The good completion's bytes, sent in another way."""
    return lambda asked, good: of(json.dumps(good).encode())


def chunked(data: bytes) -> Iterable[bytes | float]:
    """In chunks of 50 bytes, with a pause between."""
    for start in range(0, len(data), 50):
        piece = data[start : start + 50]
        yield b"%x\r\n%s\r\n" % (len(piece), piece)
    yield b"0\r\n\r\n"


def slowly(data: bytes) -> Iterable[bytes | float]:
    return chain.from_iterable((data[i : i + 40], 0.01) for i in range(0, len(data), 40))


def moved(asked: Asked, good: Completion) -> Sent | None:
    """307 to a path of its own, which answers."""
    if asked.path.startswith("/moved"):
        return None
    return response(b"", 307, {"Location": "/moved" + asked.path})


NEVER = repeat(60.0)
CUT = [b'{"id": "chatcmpl-1", "choi']
MODES: list[Mode] = [
    mode(
        "silent_for_one_clip", "no byte, ever, to one clip", ASIDE, sends(lambda: Sent(NEVER)), ODD_CLIP, impatient=True
    ),
    mode("silent", "no byte, ever, to all", (ASIDE, AWAY), sends(lambda: Sent(NEVER)), everywhere=True),
    mode(
        "drip",
        "a blank every 0.05 s, for ever, to one clip",
        ASIDE,
        sends(lambda: raw([JSON, "Transfer-Encoding: chunked"], chain.from_iterable(repeat((b"1\r\n \r\n", 0.05))))),
        ODD_CLIP,
        impatient=True,
    ),
    mode(
        "drip_of_the_head",
        "header lines for ever, to one clip",
        ASIDE,
        sends(lambda: Sent(chain([b"HTTP/1.1 200 OK\r\n"], chain.from_iterable(repeat((b"X-Wait: 1\r\n", 0.05)))))),
        ODD_CLIP,
        impatient=True,
    ),
    mode(
        "slow",
        "the whole reply, in small pieces",
        FINE,
        body(lambda data: raw([JSON, f"Content-Length: {len(data)}"], slowly(data), good=True)),
        OFTEN,
    ),
    mode(
        "reset_in_the_body_once",
        "a reset in the middle of the body, to the first try",
        FINE,
        sends(lambda: raw([JSON, "Content-Length: 900"], CUT, ending="reset")),
        first_try,
    ),
    mode(
        "reset_in_the_body",
        "a reset in the middle of the body, to all",
        (ASIDE, AWAY),
        sends(lambda: raw([JSON, "Content-Length: 900"], CUT, ending="reset")),
        everywhere=True,
    ),
    mode(
        "reset_for_one_clip",
        "a reset in the middle of the body, to one clip",
        (ASIDE, AWAY),
        sends(lambda: raw([JSON, "Content-Length: 900"], CUT, ending="reset")),
        ODD_CLIP,
    ),
    mode("reset_at_once", "a reset before a byte, to the first try", FINE, sends(lambda: Sent([], "reset")), first_try),
    mode(
        "closed_at_once", "a close before a byte, to every ninth request", FINE, sends(lambda: Sent([], "close")), OFTEN
    ),
    mode(
        "length_too_long",
        "Content-Length says more than comes, then a close, to every ninth",
        FINE,
        sends(lambda: raw([JSON, "Content-Length: 5000"], CUT, ending="close")),
        OFTEN,
    ),
    mode(
        "length_too_short",
        "Content-Length says less than comes, to all",
        (ASIDE, AWAY, REFUSED),
        body(lambda data: response(data, length=20, ending="close")),
    ),
    mode(
        "length_twice",
        "two Content-Lengths that differ, to all",
        (AWAY, REFUSED),
        body(lambda data: raw([JSON, "Content-Length: 10", f"Content-Length: {len(data)}"], [data], ending="close")),
    ),
    mode(
        "chunked",
        "a chunked body",
        FINE,
        body(lambda data: raw([JSON, "Transfer-Encoding: chunked"], chunked(data), good=True)),
    ),
    mode(
        "chunked_wrongly",
        "a chunk length that is none, to every ninth",
        FINE,
        sends(lambda: raw([JSON, "Transfer-Encoding: chunked"], [b"xyz\r\n{}\r\n"], ending="close")),
        OFTEN,
    ),
    mode(
        "closing",
        "a close after every reply",
        FINE,
        body(lambda data: response(data, headers={"Connection": "close"}, ending="close", good=True)),
    ),
    mode(
        "closing_unsaid",
        "a close after every reply, not announced",
        FINE,
        body(lambda data: response(data, ending="close", good=True)),
    ),
    mode(
        "http_1_0",
        "HTTP/1.0, without a length",
        FINE,
        body(lambda data: Sent([b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n", data], "close", True)),
    ),
    mode(
        "informed",
        "103, then the reply",
        FINE,
        body(
            lambda data: Sent(
                [head(103, ["Link: </x>; rel=preload"]), head(200, [JSON, f"Content-Length: {len(data)}"]), data],
                good=True,
            )
        ),
    ),
    mode(
        "gzip",
        "a body in gzip",
        FINE,
        body(lambda data: response(gzip.compress(data), headers={"Content-Encoding": "gzip"}, good=True)),
    ),
    mode(
        "deflate",
        "a body in deflate",
        FINE,
        body(lambda data: response(zlib.compress(data), headers={"Content-Encoding": "deflate"}, good=True)),
    ),
    mode(
        "gzip_broken",
        "a body that is said to be gzip, to every ninth",
        (FINE, ASIDE),
        body(lambda data: response(data, headers={"Content-Encoding": "gzip"})),
        OFTEN,
    ),
    mode(
        "type_text",
        "JSON as text/plain",
        (FINE, REFUSED),
        body(lambda data: response(data, content_type="text/plain", good=True)),
    ),
    mode(
        "type_missing",
        "JSON without a type",
        (FINE, REFUSED),
        body(lambda data: raw([f"Content-Length: {len(data)}"], [data], good=True)),
    ),
    mode(
        "body_bom",
        "a byte-order mark before the body",
        (FINE, REFUSED),
        body(lambda data: response(b"\xef\xbb\xbf" + data, good=True)),
    ),
    mode(
        "body_utf16",
        "a body in UTF-16",
        (FINE, REFUSED),
        body(lambda data: response(data.decode().encode("utf-16"), good=True)),
    ),
    mode(
        "body_latin1",
        "a body that is no UTF-8",
        (FINE, REFUSED),
        body(lambda data: response(data.replace(b"shows", b"\xe9\xff"))),
        reworded=True,
    ),
    mode(
        "body_trailing", "words after the body's JSON", (FINE, REFUSED), body(lambda data: response(data + b"\n[done]"))
    ),
    mode(
        "body_huge",
        "a body of 20 MB of blanks, to one clip",
        (FINE, ASIDE),
        sends(lambda: response(b" " * 20_000_000 + b"{}")),
        ODD_CLIP,
    ),
    mode(
        "head_huge",
        "a head of 200,000 bytes, to every ninth",
        (FINE, ASIDE),
        sends(lambda: response(b"{}", headers={"X": "x" * 200_000}, ending="close")),
        OFTEN,
    ),
    mode(
        "no_http",
        "another protocol",
        (AWAY, REFUSED),
        sends(lambda: Sent([b"SSH-2.0-OpenSSH_9.9\r\n"], "close")),
        everywhere=True,
    ),
    mode("moved", "307 to another path, which answers", REFUSED, moved, everywhere=True),
    mode(
        "moved_in_a_circle",
        "307 to itself, to all",
        (AWAY, REFUSED),
        lambda asked, good: response(b"", 307, {"Location": asked.path}),
        everywhere=True,
    ),
    mode(
        "moved_to_a_login",
        "302 to a page, which is HTML",
        (AWAY, REFUSED),
        lambda asked, good: (
            response(b"<html>login</html>", content_type="text/html")
            if asked.path == "/login"
            else response(b"", 302, {"Location": "/login"})
        ),
        everywhere=True,
    ),
    mode(
        "down_then_up",
        "connections refused for 0.6 s, then all is well",
        FINE,
        lambda asked, good: None,
        down_seconds=0.6,
    ),
    mode("down", "connections refused", AWAY, lambda asked, good: None, down_seconds=10_000.0),
]
