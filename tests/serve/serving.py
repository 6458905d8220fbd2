"""A running server of ours, as tests with clients see it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx2

from videorouter.eval.benchmarks.items import Item
from videorouter.eval.benchmarks.registry import load_items

NAME = "router"
KEY = "key-of-these-tests"
MOST_WAITING = 8
MOST_MEGABYTES = 16
MOST_FRAMES = 128


@dataclass(frozen=True)
class Serving:
    """A running server at `address`, the world under its media root, and the same world at a web address that it may ask."""

    address: str
    world: Path
    web: str

    @property
    def base_url(self) -> str:
        """As clients of OpenAI's interface are given it."""
        return f"{self.address}/v1"

    def http(self) -> httpx2.Client:
        """A client that sends the key."""
        return httpx2.Client(base_url=self.address, headers={"Authorization": f"Bearer {KEY}"}, timeout=60)

    def count(self, metric: str) -> float:
        """A counter or gauge of `/metrics`, as `name` or `name{label="value"}`; 0 before its first value."""
        with self.http() as client:
            lines = client.get("/metrics").text.splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.rpartition(" ")[0] == metric)

    def items(self, count: int) -> Sequence[Item]:
        """Questions of the world, about both test videos in turn."""
        return sorted(load_items("miniature", self.world, "test"), key=lambda item: item.id[::-1])[:count]
