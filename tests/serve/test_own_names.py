"""A server of all addresses is asked by this machine's own name and addresses, and prints an address that works."""

import socket
from pathlib import Path

import httpx2
import psutil
import pytest

from tests.serve.running_server import running_server
from videorouter.serve.access import Access
from videorouter.serve.config import ServeConfig
from videorouter.serve.errors import Forbidden

KEY = "key-of-names"


@pytest.mark.parametrize("host", ["0.0.0.0", pytest.param("::", marks=pytest.mark.slow)])
def test_the_printed_address_and_the_machines_own_are_answered(tmp_path: Path, host: str) -> None:
    if host == "::" and not socket.has_dualstack_ipv6():
        pytest.skip("this machine has no IPv6")
    with running_server(tmp_path, "--host", host, keys=[KEY]) as server:
        assert httpx2.get(f"{server.address}/", timeout=20).status_code == 200
        assert server.process.stdout is not None
        second, port = server.process.stdout.readline(), server.address.rpartition(":")[2]
        own = [entry.address for entries in psutil.net_if_addrs().values() for entry in entries if entry.family == 2]
        for name in (*own, socket.gethostname(), "localhost"):
            asked = {"Host": f"{name}:{port}", "Authorization": f"Bearer {KEY}"}
            assert httpx2.get(f"http://127.0.0.1:{port}/v1/models", headers=asked).status_code == 200, name
            assert name.startswith("127.") or name.lower() in second, second
        asked = {"Host": "evil.example", "Authorization": f"Bearer {KEY}"}
        assert httpx2.get(f"http://127.0.0.1:{port}/v1/models", headers=asked).status_code == 403


def test_a_server_of_one_address_has_no_other_names() -> None:
    access = Access(ServeConfig(base="base", host="127.0.0.1"), [])
    with pytest.raises(Forbidden):
        access.owner("/v1/models", {"host": socket.gethostname()})
