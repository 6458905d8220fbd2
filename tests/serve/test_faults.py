"""Two hundred requests of which most go wrong: each gets an answer or a typed error, and the server is as it was before."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.serve.faults import FAULTS, Clients, slow
from tests.serve.openai_upstream import UpstreamProcess, running_upstream
from tests.serve.questions import first_questions, videos_of
from tests.serve.running_server import Footprint, RunningServer, running_server
from tests.video.counting import write_counting_video

TOGETHER = 12
POOLED = 6
"""Threads that pools may have gained: they grow with what happens to be asked at once, up to a bound, and one lost a request would
be two hundred."""
MEGABYTES = 2
MEMORY = 120_000_000
"""Bytes by which 200 requests may grow the process: what allocators keep for the next ones."""
OPTIONS = ["--frames", "16", "--cache_gb", "0.03", "--most_megabytes", str(MEGABYTES), "--most_seconds", "100"]
OPTIONS += ["--patience", "8"]


@pytest.fixture
def upstream() -> Iterator[UpstreamProcess]:
    with running_upstream() as process:
        yield process


def test_own_engine(world: Path, tmp_path: Path) -> None:
    with running_server(tmp_path, "--media_root", str(world), *OPTIONS) as server:
        outcomes = _storm(server, world, tmp_path, lambda done: None)
    assert sum(outcomes.values()) == 200, outcomes
    assert 503 not in outcomes


@pytest.mark.slow
def test_vllm_engine_whose_upstream_is_killed_and_restarted(
    world: Path, tmp_path: Path, upstream: UpstreamProcess
) -> None:
    """Twice, with answers in work."""

    def kill_now_and_then(done: int) -> None:
        if done in (60, 120):
            upstream.kill()
        elif done in (75, 135):
            upstream.start()

    options = ["--engine", "vllm", "--upstream", upstream.address, "--media_root", str(world), *OPTIONS]
    with running_server(tmp_path, *options) as server:
        outcomes = _storm(server, world, tmp_path, kill_now_and_then)
    assert sum(outcomes.values()) == 200, outcomes
    assert outcomes[503] > 0


def _storm(server: RunningServer, world: Path, folder: Path, meanwhile: Callable[[int], None]) -> Counter[int]:
    """The statuses of 200 requests; what must hold afterwards is checked."""
    bodies = first_questions(world, 4)
    right = [(body, _said(server.chat(body))) for body in bodies]
    long = write_counting_video(folder / "long.mp4", codec="mpeg4", count=300, fps=1).read_bytes()
    video = videos_of(world)[0].read_bytes()
    assert len(video) < MEGABYTES * 700_000
    asyncio.run(_ask(server, right, video, long, _mixed(0)[4:44], lambda done: None))  # pools are full afterwards
    before = _settled(server)
    clients, outcomes = asyncio.run(_ask(server, right, video, long, _mixed(1), meanwhile))
    assert clients.wrong == []
    assert clients.answered >= 40
    assert outcomes[408] > 0
    after = _settled(server, before)
    assert after.files == before.files
    assert after.threads <= before.threads + POOLED
    assert after.descriptors <= before.descriptors
    assert after.memory <= before.memory + MEMORY, f"{(after.memory - before.memory) / 1e6:.0f} MB more"
    health = server.get("/health")
    assert health.json() == {"status": "ok", "worker": True, "upstream": True}
    assert server.metric("videorouter_requests_in_work") == 0
    assert [_said(server.chat(body)) for body in bodies] == [answer for _, answer in right]
    fresh = [body | {"videorouter": {"frames": 20}} for body in bodies]  # decoded anew
    assert all(server.chat(body).json()["videorouter"]["video"]["cached"] is False for body in fresh)
    assert "Traceback" not in server.said, server.said[-3000:]
    assert "ResourceWarning" not in server.said, server.said[-3000:]
    assert server.stop()[0] == 0
    assert list((server.folder / "tmp").glob("videorouter*")) == []
    return outcomes


def _mixed(seed: int) -> list[tuple[set[int], Any, int]]:
    """(expected statuses, fault, its number) in an order of chance, but for the slow, who would be waited for at the end."""
    all_of_them = [(expected, fault, number) for many, expected, fault in FAULTS for number in range(many)]
    random.Random(seed).shuffle(all_of_them)
    return sorted(all_of_them, key=lambda one: one[1] is not slow)


async def _ask(
    server: RunningServer,
    right: list[tuple[dict[str, Any], str]],
    video: bytes,
    long: bytes,
    requests: list[tuple[set[int], Any, int]],
    meanwhile: Callable[[int], None],
) -> tuple[Clients, Counter[int]]:
    outcomes: Counter[int] = Counter()
    may_fail = {503} if "vllm" in str(server.process.args) else set()
    places = asyncio.Semaphore(TOGETHER)
    async with httpx2.AsyncClient(base_url=server.address, timeout=60) as client:
        clients = Clients(client, server.address, right, video, long, MEGABYTES * 1_000_000, bool(may_fail))

        async def one(expected: set[int], fault: Any, number: int) -> None:
            async with places:
                status = await fault(clients, number)
            assert status in expected | may_fail, f"{fault.__name__} {number}: {status}"
            outcomes[status] += 1
            await asyncio.to_thread(meanwhile, outcomes.total())

        async with asyncio.TaskGroup() as group:
            for request in requests:
                group.create_task(one(*request))
    return clients, outcomes


def _settled(server: RunningServer, wanted: Footprint | None = None) -> Footprint:
    """The server's footprint once nothing is in work, and, for at most 15 s, until it is as it was."""
    until = time.monotonic() + 15
    while True:
        idle = server.metric("videorouter_requests_in_work") == 0
        found = server.footprint()
        as_before = wanted is None or (found.descriptors <= wanted.descriptors and found.files == wanted.files)
        if time.monotonic() > until or (idle and as_before):
            return found
        time.sleep(0.2)


def _said(response: httpx2.Response) -> str:
    assert response.status_code == 200, response.text
    return str(response.json()["choices"][0]["message"]["content"])
