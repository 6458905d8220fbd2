"""A push is one commit of a sound folder with its card; repeated after any failure it ends in the same state."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.loopback.hub import LoopbackHub
from tests.loopback.serving import served
from tests.shards.samples import five, sample, write_dataset
from videorouter.shards.reader import ShardDataset

NAME = "datasets/lab/video-flr"


@pytest.fixture
def hub() -> Iterator[tuple[LoopbackHub, str]]:
    server = LoopbackHub()
    with served(server.application) as address:
        yield server, address


def push(folder: Path, address: str, home: Path) -> subprocess.CompletedProcess[str]:
    """The real client, in a process of its own."""
    environment = os.environ | {
        "HF_ENDPOINT": address, "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1", "HF_TOKEN": "hf_test",
        "HF_HOME": str(home), "HF_HUB_DISABLE_TELEMETRY": "1",
    }  # fmt: skip
    return subprocess.run(
        [sys.executable, "-m", "shards", "push", str(folder), "lab/video-flr"],
        env=environment, text=True, capture_output=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip


def test_a_push_is_one_commit_with_a_card_and_large_files_through_lfs(
    hub: tuple[LoopbackHub, str], tmp_path: Path
) -> None:
    server, address = hub
    folder = five(tmp_path / "data")
    done = push(folder, address, tmp_path / "home")
    assert done.returncode == 0, done.stderr
    repository = server.repositories[NAME]
    assert repository.commits == 1
    names = {"README.md", "manifest.json", *(f"train-0000{n}.{ending}" for n in (0, 1) for ending in ("tar", "json"))}
    assert set(repository.files) == names
    assert all(repository.files[name] == (folder / name).read_bytes() for name in names)
    assert server.requests["upload"] == 2
    assert "- split: train" in repository.files["README.md"].decode()
    assert "unstated: 5 questions" in repository.files["README.md"].decode()


@pytest.mark.parametrize(
    "failing",
    [
        "create",
        *(pytest.param(step, marks=pytest.mark.slow) for step in ("preupload", "batch")),
        "upload",
        pytest.param("commit", marks=pytest.mark.slow),
    ],
)
def test_a_push_that_fails_and_is_repeated_ends_in_the_same_state(
    hub: tuple[LoopbackHub, str], tmp_path: Path, failing: str
) -> None:
    server, address = hub
    folder = five(tmp_path / "data")
    server.fail = [failing]
    failed = push(folder, address, tmp_path / "home")
    assert failed.returncode == 1
    assert failed.stderr.strip().splitlines()[-1].startswith("error: ")
    assert not server.repositories.get(NAME) or not server.repositories[NAME].files
    assert push(folder, address, tmp_path / "home").returncode == 0
    unbroken = LoopbackHub()
    with served(unbroken.application) as other:
        assert push(folder, other, tmp_path / "home").returncode == 0
    assert server.repositories[NAME].head == unbroken.repositories[NAME].head


def test_what_is_no_longer_in_the_data_set_is_deleted_there_and_nothing_is_sent_twice(
    hub: tuple[LoopbackHub, str], tmp_path: Path
) -> None:
    server, address = hub
    assert push(five(tmp_path / "data"), address, tmp_path / "home").returncode == 0
    fewer = write_dataset(tmp_path / "fewer", {"train-0": [sample("a"), sample("b", seed=1), sample("c", 2)]})
    assert push(fewer, address, tmp_path / "home").returncode == 0
    assert {name for name in server.repositories[NAME].files if name.endswith(".tar")} == {"train-00000.tar"}
    assert server.requests["upload"] == 2


def test_a_damaged_or_unfinished_folder_is_not_pushed(hub: tuple[LoopbackHub, str], tmp_path: Path) -> None:
    server, address = hub
    unfinished = write_dataset(tmp_path / "unfinished", {"train-0": [sample("a")]}, finished=False)
    damaged = five(tmp_path / "damaged")
    content = bytearray((damaged / "train-00000.tar").read_bytes())
    content[600] ^= 0xFF
    (damaged / "train-00000.tar").write_bytes(content)
    for folder, reason in ((unfinished, "did not finish"), (damaged, "not the ones that were written")):
        refused = push(folder, address, tmp_path / "home")
        assert refused.returncode == 1
        assert reason in refused.stderr
    assert not server.repositories


def test_a_pushed_data_set_is_read_back_as_it_was(hub: tuple[LoopbackHub, str], tmp_path: Path) -> None:
    _, address = hub
    folder = five(tmp_path / "data")
    assert push(folder, address, tmp_path / "home").returncode == 0
    assert list(ShardDataset(f"{address}/{NAME}/resolve/main")) == list(ShardDataset(folder))
