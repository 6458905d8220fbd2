"""A server of all addresses is asked by this machine's own name and addresses, and prints an address that works."""

import re
import socket
import subprocess
from pathlib import Path

import httpx2
import psutil
import pytest

from tests.serve.running_server import serve_command, server_environment
from videorouter.serve.access import Access
from videorouter.serve.config import ServeConfig
from videorouter.serve.errors import Forbidden

KEY = "key-of-names"


@pytest.mark.parametrize("host", ["0.0.0.0", pytest.param("::", marks=pytest.mark.slow)])
def test_the_printed_address_and_the_machines_own_are_answered(tmp_path: Path, host: str) -> None:
    if host == "::" and not socket.has_dualstack_ipv6():
        pytest.skip("this machine has no IPv6")
    command = serve_command("--host", host)
    process = subprocess.Popen(
        command, env=server_environment(tmp_path, [KEY]), cwd=tmp_path, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        first, second = (process.stdout.readline() for _ in range(2))
        found = re.search(r"the page at (http://\S+?):(\d+)/", first)
        assert found, first
        assert httpx2.get(f"{found[1]}:{found[2]}/", timeout=20).status_code == 200
        own = [entry.address for entries in psutil.net_if_addrs().values() for entry in entries if entry.family == 2]
        for name in (*own, socket.gethostname(), "localhost"):
            asked = {"Host": f"{name}:{found[2]}", "Authorization": f"Bearer {KEY}"}
            assert httpx2.get(f"http://127.0.0.1:{found[2]}/v1/models", headers=asked).status_code == 200, name
            assert name.startswith("127.") or name.lower() in second, second
        asked = {"Host": "evil.example", "Authorization": f"Bearer {KEY}"}
        assert httpx2.get(f"http://127.0.0.1:{found[2]}/v1/models", headers=asked).status_code == 403
    finally:
        process.kill()
        process.wait(30)
        process.stdout.close()


def test_a_server_of_one_address_has_no_other_names() -> None:
    access = Access(ServeConfig(base="base", host="127.0.0.1"), [])
    with pytest.raises(Forbidden):
        access.owner("/v1/models", {"host": socket.gethostname()})
