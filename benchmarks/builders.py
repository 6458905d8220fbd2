"""How near a build comes to what its teacher and its decoder allow: min(concurrency / latency, decode rate x requests a video).

The teacher replays answers recorded before, 0.2 s after each request, and does nothing else. Exit code 1 below 0.9 of the bound.
"""

import argparse
import asyncio
import hashlib
import json
import multiprocessing
import re
import socket
import statistics
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from rich.console import Console
from rich.table import Table

from videorouter.data_builders.__main__ import main as data_builders
from videorouter.data_builders.building.ledger import Ledger
from videorouter.data_builders.videos import FrameConfig, VideoFolder
from videorouter.miniature.teacher.server import complete
from videorouter.miniature.world.build import build_world

LATENCY = 0.2
CONCURRENCY = 16
PROMISED = 0.9


def run() -> int:
    """Measure, print, and say by the exit code whether the promise is held."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--videos", type=int, default=192)
    options.add_argument("--questions", type=int, default=8, help="a video")
    options.add_argument("--runs", type=int, default=3)
    options.add_argument("--workers", type=int, default=1)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        return measure(Path(folder), chosen.videos, chosen.questions, chosen.runs, chosen.workers)


def measure(folder: Path, videos: int, questions: int, runs: int, workers: int) -> int:
    """Record once, then build `runs` times from the recording."""
    world = folder / "world"
    build_world(world, videos=videos, seconds=20, seed=0, questions_per_video=questions)
    rates, decode_rates = [], []
    with serving() as url:
        build(world, folder / "recorded", url, workers)
        urllib.request.urlopen(url + "/replay").close()
        for number in range(runs):
            decode_rates.append(decode_rate(world))
            out = folder / f"run-{number}"
            start = time.monotonic()
            build(world, out, url, workers)
            rates.append(Ledger(out).totals().usage.requests / (time.monotonic() - start))
    a_video = Ledger(folder / "recorded").totals().usage.requests / videos
    bound = min(CONCURRENCY / LATENCY, statistics.median(decode_rates) * a_video)
    rate = statistics.median(rates)
    table = Table("", "requests a second", title=f"{videos} videos, {a_video:g} requests a video, {workers} workers")
    table.add_row("teacher: concurrency / latency", f"{CONCURRENCY / LATENCY:.1f}")
    table.add_row("decoding alone x requests a video", f"{statistics.median(decode_rates) * a_video:.1f}")
    table.add_row("build, median", f"{rate:.1f}  ({', '.join(f'{one:.1f}' for one in rates)})")
    table.add_row("of the bound", f"{rate / bound:.3f}")
    Console(markup=False).print(table)
    return 0 if rate >= PROMISED * bound else 1


def build(world: Path, out: Path, url: str, workers: int) -> None:
    """One build, start to end."""
    command = ["flr", "annotate", "--config", "miniature/flr_annotate", "--questions", str(world / "questions.jsonl")]
    command += ["--videos", str(world), "--teacher.base_url", url, "--out", str(out), "--workers", str(workers)]
    code = data_builders([*command, "--teacher.concurrency", str(CONCURRENCY)])
    assert code == 0, f"the build ended with exit code {code}"


def decode_rate(world: Path) -> float:
    """Videos a second, decoded and encoded one after another as a build does it, and nothing else."""
    names = [str(path.relative_to(world)) for path in sorted((world / "videos").iterdir())]
    with closing(VideoFolder(FrameConfig(world, frames=64, frame_size=112, quality=98))) as videos:
        videos.prepare(names[0])
        start = time.monotonic()
        for name in names:
            videos.prepare(name)
    return len(names) / (time.monotonic() - start)


@contextmanager
def serving() -> Iterator[str]:
    """The miniature teacher in a process of its own; from the moment `/replay` is fetched, its recording."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    process = multiprocessing.get_context("fork").Process(target=_serve, args=(listener,), daemon=True)
    process.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
    process.terminate()
    process.join()


def _serve(listener: socket.socket) -> None:
    asyncio.run(_Endpoint().serve(listener))


class _Endpoint:
    """HTTP in its barest form, so that the teacher's own work is no part of what is measured."""

    def __init__(self) -> None:
        self.recorded: dict[bytes, bytes] = {}
        self.replaying = False

    async def serve(self, listener: socket.socket) -> None:
        server = await asyncio.start_server(self.connected, sock=listener, limit=2**24)
        await server.serve_forever()

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                arrived = time.monotonic()
                length = re.search(rb"content-length: (\d+)", head)
                reply = await self.reply(await reader.readexactly(int(length[1])), arrived) if length else self.replay()
                kind = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(reply)
                writer.write(kind + reply)

    async def reply(self, body: bytes, arrived: float) -> bytes:
        """The answer, in a replay `LATENCY` seconds after the request arrived."""
        key = hashlib.blake2b(body).digest()
        if self.replaying:
            await asyncio.sleep(arrived + LATENCY - time.monotonic())
        else:
            self.recorded[key] = json.dumps(await asyncio.to_thread(complete, json.loads(body), 16.0)).encode()
        return self.recorded[key]

    def replay(self) -> bytes:
        self.replaying = True
        return b"{}"


if __name__ == "__main__":
    sys.exit(run())
