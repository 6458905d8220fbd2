"""One line for every request: what it was, whose, and what became of it, and never what was asked, shown or answered (ours)."""

import asyncio
import json
import logging
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from logging.handlers import WatchedFileHandler
from pathlib import Path
from typing import Any, Final

from videorouter.serve.metrics import Metrics

_log = logging.getLogger(__name__)
WAYS: Final = {
    "/v1/chat/completions": "chat",
    "/v1/files": "files",
    "/v1/models": "models",
    "/videos": "videos",
    "/frames": "frames",
    "/health": "health",
    "/metrics": "metrics",
}
"""Paths, or their beginnings; all others are `page`. A path itself may hold the name of a video."""
QUIET: Final = frozenset({"health", "metrics"})
"""Asked every few seconds by machines: only counted, unless they fail."""
ROUTED: Final = ("engine", "system", "policy", "budget", "tokens", "dense_tokens", "passed_through")
"""Of an answer's routing what is logged."""

LONGEST: Final = 40
MOST: Final = 20
"""Characters of a field's name, and names, that a line holds."""


def way_of(path: str) -> str:
    """What a request for `path` is called in the log and in the metrics."""
    return next((way for begin, way in WAYS.items() if path == begin or path.startswith(f"{begin}/")), "page")


def routing_facts(routing: Mapping[str, Any]) -> dict[str, Any]:
    """What the log says of how a question was routed."""
    found = {name: routing[name] for name in ROUTED if routing.get(name) is not None}
    if "video" in routing:
        found["cached"] = routing["video"]["cached"]
    if "sent" in routing:
        found |= {"pictures": routing["sent"]["pictures"], "sent_tokens": routing["sent"]["tokens"]}
    return found


def field_facts(dropped: Sequence[str]) -> dict[str, Any]:
    """What the log says of fields that are not known and were left out: names that look like names, for others may say anything."""
    names = sorted({name if name.isidentifier() and len(name) <= LONGEST else "?" for name in dropped})
    return {"left_out": names[:MOST]} if names else {}


class RequestLog:
    """Middleware that counts and logs each request once it is over.

    Who answers it adds to `scope["state"]["facts"]`; a `status` there is what became of a stream, whose own was sent before.
    """

    def __init__(self, app: Any, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, sent = time.perf_counter(), None
        facts: dict[str, Any] = {}
        scope.setdefault("state", {})["facts"] = facts

        async def sending(message: dict[str, Any]) -> None:
            nonlocal sent
            sent = message.get("status", sent)
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except asyncio.CancelledError:  # nobody but a server that stops cancels a request
            sent = sent or 503
            raise
        except Exception:
            sent = sent or 500
            raise
        finally:
            way, status = way_of(scope["path"]), facts.pop("status", sent or 499)
            self._metrics.requests.labels(way, str(status)).inc()
            told = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "way": way, "status": status}
            told |= {"owner": scope["state"].get("owner"), "seconds": round(time.perf_counter() - started, 4)}
            level = logging.DEBUG if way in QUIET and status < 500 else logging.INFO
            _log.log(level, "%s", json.dumps(told | facts))


@contextmanager
def lines_in(path: Path | None) -> Iterator[None]:
    """While the body runs, append the lines to a file, where one is named. Raises `OSError` where it cannot be written.

    A file that is moved away is begun anew, as those who rotate logs expect.
    """
    if path is None:
        yield
        return
    file = _File(path, encoding="utf-8")
    file.setFormatter(logging.Formatter("%(message)s"))
    file.setLevel(logging.INFO)
    _log.addHandler(file)
    try:
        yield
    finally:
        _log.removeHandler(file)
        with suppress(OSError):  # of lines that a full disk did not take
            file.close()


class _File(WatchedFileHandler):
    """Says once that it cannot be written, where logging would show the error for every line."""

    _failed = False

    def handleError(self, record: logging.LogRecord) -> None:
        if not self._failed:
            self._failed = True
            error = sys.exception()
            logging.getLogger(__package__).error("the log %s cannot be written: %s", self.baseFilename, error)
