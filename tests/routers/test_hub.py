"""A router folder goes to the Hub as one commit, and is loaded from there by id and revision, with its base."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.loopback.hub import LoopbackHub, Repository
from tests.loopback.serving import served

ROOT = Path(__file__).parents[2]
NAME = "models/lab/router"
LOAD = """
import json, sys
from videorouter.routers.answering.video_router import VideoRouter
router = VideoRouter.from_pretrained("lab/router", revision=sys.argv[1])
heads = [float(value.double().sum()) for part in (router.semantic, router.image) for value in part.head.state_dict().values()]
print(json.dumps([router.config.base.path, router.config.base.revision, heads]))
"""


@pytest.fixture
def hub(base: Path) -> Iterator[tuple[LoopbackHub, str]]:
    """A hub that has the base model."""
    server = LoopbackHub()
    server.repositories["models/lab/base"] = Repository({path.name: path.read_bytes() for path in base.iterdir()})
    with served(server.application) as address:
        yield server, address


def run(address: str, home: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """The real client, in a process of its own: it reads the Hub's address once, when it is imported."""
    environment = os.environ | {
        "HF_ENDPOINT": address, "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1", "HF_TOKEN": "hf_test",
        "HF_HOME": str(home), "HF_HUB_DISABLE_TELEMETRY": "1",
    }  # fmt: skip
    return subprocess.run([sys.executable, *command], env=environment, text=True, capture_output=True, cwd=ROOT)


def push(folder: Path, address: str, home: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return run(address, home, "-m", "routers", "push", str(folder), "lab/router", *options)


def test_a_pushed_router_is_loaded_by_id_and_revision_with_the_base_it_names(
    hub: tuple[LoopbackHub, str], router: Path, tmp_path: Path
) -> None:
    server, address = hub
    before = {path.name: path.read_bytes() for path in router.iterdir()}
    done = push(router, address, tmp_path / "home", "--base", "lab/base")
    assert done.returncode == 0, done.stderr
    repository = server.repositories[NAME]
    assert repository.commits == 1
    assert json.loads(repository.files["config.json"])["base"]["path"] == "lab/base"
    assert {path.name: path.read_bytes() for path in router.iterdir()} == before, "the folder stays as it is"
    loaded = run(address, tmp_path / "home", "-c", LOAD, repository.head)
    assert loaded.returncode == 0, loaded.stderr
    path, revision, heads = json.loads(loaded.stdout)
    assert (path, revision) == ("lab/base", server.repositories["models/lab/base"].head)
    here = run(address, tmp_path / "home", "-c", LOAD.replace('"lab/router"', repr(str(router))), repository.head)
    assert json.loads(here.stdout)[2] == heads


@pytest.mark.parametrize("failing", [pytest.param("upload", marks=pytest.mark.slow), "commit"])
def test_a_push_that_fails_and_is_repeated_ends_in_the_same_state(
    hub: tuple[LoopbackHub, str], router: Path, tmp_path: Path, failing: str
) -> None:
    server, address = hub
    server.fail = [failing]
    failed = push(router, address, tmp_path / "home", "--base", "lab/base")
    assert failed.returncode == 1
    assert failed.stderr.strip().splitlines()[-1].startswith("error: the Hub did not take lab/router")
    assert not server.repositories.get(NAME) or not server.repositories[NAME].files
    assert push(router, address, tmp_path / "home", "--base", "lab/base").returncode == 0
    assert set(server.repositories[NAME].files) == {"config.json", "model.safetensors", "README.md"}


def test_a_router_whose_base_others_cannot_find_is_not_pushed(
    hub: tuple[LoopbackHub, str], router: Path, tmp_path: Path
) -> None:
    server, address = hub
    refused = push(router, address, tmp_path / "home")
    assert refused.returncode == 1
    assert "say with --base under which id the Hub has it" in refused.stderr
    server.repositories["models/lab/base"].files["config.json"] += b" "
    other = push(router, address, tmp_path / "home", "--base", "lab/base")
    assert other.returncode == 1
    assert "give the id of that very model" in other.stderr
    assert NAME not in server.repositories
