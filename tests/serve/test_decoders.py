"""Decoding processes among clients that come and go: nothing is begun or kept running for nobody."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import psutil
import pytest

from videorouter.serve.decoders import UNWANTED, Decoders
from videorouter.video.errors import VideoTimeout


def mark_and_wait(path: Path, seconds: float) -> int:
    """In a decoding process: say that it begins, and take a while."""
    path.write_text(str(os.getpid()))
    time.sleep(seconds)
    return os.getpid()


@pytest.fixture
def decoders() -> Iterator[Decoders]:
    made = Decoders(2)
    yield made
    made.close()
    left = [" ".join(child.cmdline()) for child in psutil.Process().children()]
    assert not any("spawn_main" in command for command in left), left


async def _until(what: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


def test_what_nobody_wants_any_more_does_not_begin(decoders: Decoders, tmp_path: Path) -> None:
    async def ask() -> None:
        busy = [
            asyncio.ensure_future(decoders.run(60, mark_and_wait, tmp_path / f"{number}", 1.0)) for number in (0, 1)
        ]
        await _until(lambda: (tmp_path / "0").exists() and (tmp_path / "1").exists())
        left = asyncio.ensure_future(decoders.run(60, mark_and_wait, tmp_path / "left", 0.0))
        stays = asyncio.ensure_future(decoders.run(60, mark_and_wait, tmp_path / "stays", 0.0))
        await asyncio.sleep(0.1)
        left.cancel()
        assert await stays in await asyncio.gather(*busy)
        assert not (tmp_path / "left").exists()

    asyncio.run(ask())


def test_what_goes_on_for_nobody_is_killed_and_the_next_is_decoded(decoders: Decoders, tmp_path: Path) -> None:
    """Within seconds, not at its deadline; a decode that is nearly over is let be, with its process."""

    async def ask() -> None:
        long = asyncio.ensure_future(decoders.run(600, mark_and_wait, tmp_path / "long", 500.0))
        short = asyncio.ensure_future(decoders.run(600, mark_and_wait, tmp_path / "short", 0.5))
        await _until(lambda: all((tmp_path / name).exists() for name in ("long", "short")))
        await asyncio.sleep(0.1)
        pids = {name: int((tmp_path / name).read_text()) for name in ("long", "short")}
        started = time.monotonic()
        for one in (long, short):
            one.cancel()
        await _until(lambda: not _runs(pids["long"]))
        assert UNWANTED <= time.monotonic() - started < UNWANTED + 5
        both = [decoders.run(60, mark_and_wait, tmp_path / f"next{number}", 1.0) for number in (0, 1)]
        found = await asyncio.gather(*both)
        assert pids["short"] in found
        assert pids["long"] not in found

    asyncio.run(ask())


def test_many_that_wait_hold_up_no_other_thread(decoders: Decoders, tmp_path: Path) -> None:
    """Requests are read in the usual threads while a hundred videos wait."""

    async def ask() -> None:
        waiting: list[Awaitable[int]] = [
            asyncio.ensure_future(decoders.run(60, mark_and_wait, tmp_path / f"{number}", 0.02))
            for number in range(100)
        ]
        await _until(lambda: (tmp_path / "0").exists())
        started = time.monotonic()
        await asyncio.to_thread(time.sleep, 0)
        assert time.monotonic() - started < 1
        assert len(set(await asyncio.gather(*waiting))) <= 2

    asyncio.run(ask())


def test_a_deadline_counts_from_the_beginning_of_a_decode(decoders: Decoders, tmp_path: Path) -> None:
    async def ask() -> None:
        with pytest.raises(VideoTimeout):
            await decoders.run(0.3, mark_and_wait, tmp_path / "late", 60.0)
        several = [decoders.run(5, mark_and_wait, tmp_path / f"{number}", 0.5) for number in range(6)]
        assert len(await asyncio.gather(*several)) == 6

    asyncio.run(ask())


def _runs(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
