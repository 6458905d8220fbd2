"""`videorouter serve` on a free loopback port, for tests that need no more of it than its address."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.serve.running_server import running_server


@contextmanager
def server_process(folder: Path, *options: str, keys: str | None = None) -> Iterator[str]:
    """Its address, once it answers. What it says goes into `folder`; with API `keys` where they are given."""
    with running_server(folder, *options, keys=[keys] if keys else ()) as server:
        yield server.address
