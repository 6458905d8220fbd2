"""`estimate` of a repository on the Hub asks for config and index, or for a file's header, and for nothing from a warm cache."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save
from test_cost_head import EMBEDDINGS, HEAD, TEXT, VISION, published
from tiny_backbones import write_tiny

from tests.loopback.hub import LoopbackHub, Repository
from tests.loopback.serving import served

ROOT = Path(__file__).parents[2]
ASK = [sys.executable, "-m", "videorouter", "estimate", "--model", "lab/base", "--json"]


def ask(address: str, home: Path, *more: str, offline: bool = False) -> tuple[int, list[str]]:
    """The head's parameters and what is said first."""
    cost = asked(address, home, *more, offline=offline)
    return cost["parameters"]["head"], cost["said"]


def asked(address: str, home: Path, *more: str, offline: bool = False) -> dict[str, Any]:
    """What is printed, by the real client in a process of its own."""
    environment = os.environ | {
        "HF_ENDPOINT": address, "HF_HUB_OFFLINE": str(int(offline)), "HF_HUB_DISABLE_XET": "1", "HF_HOME": str(home),
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }  # fmt: skip
    done = subprocess.run([*ASK, *more], env=environment, text=True, capture_output=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    cost: dict[str, Any] = json.loads(done.stdout)
    return cost


@pytest.mark.parametrize("single", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["index", "single file"])
def test_a_head_on_the_hub_is_found_without_its_weights(single: bool, tmp_path: Path) -> None:
    folder = published(tmp_path / "base", TEXT, VISION, () if single else (EMBEDDINGS, HEAD))
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    if single:
        files["model.safetensors"] = save({EMBEDDINGS: torch.zeros(2_000_000), HEAD: torch.zeros(2)})
    server = LoopbackHub()
    server.repositories["models/lab/base"] = Repository(files)
    home = tmp_path / "home"
    with served(server.application) as address:
        head, said = ask(address, home)
        assert (head, said) == (3584 * 151_674, [])
        assert not list(home.rglob("*.safetensors")), "weights were downloaded"
        before = server.requests.copy()
        head, said = ask(address, home, offline=True)
        assert server.requests == before
    if single:  # the cache holds no weights, so that there is no header to ask
        assert "no weights beside config.json" in said[0]
    else:
        assert (head, said) == (3584 * 151_674, [])


@pytest.mark.slow
def test_a_single_file_in_the_cache_answers_offline(tmp_path: Path) -> None:
    folder = published(tmp_path / "base", TEXT, VISION)
    files = {"config.json": (folder / "config.json").read_bytes()}
    files["model.safetensors"] = save({EMBEDDINGS: torch.zeros(2), HEAD: torch.zeros(2)})
    snapshot = tmp_path / "home/hub/models--lab--base/snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    for name, content in files.items():
        (snapshot / name).write_bytes(content)
    refs = tmp_path / "home/hub/models--lab--base/refs"
    refs.mkdir()
    (refs / "main").write_text("0" * 40)
    assert ask("http://127.0.0.1:9", tmp_path / "home", offline=True) == (3584 * 151_674, [])
    assert ask("http://127.0.0.1:9", tmp_path / "home", "--local_files_only") == (3584 * 151_674, [])


@pytest.mark.slow
def test_the_limits_of_frames_on_the_hub_are_found_without_weights(tmp_path: Path) -> None:
    folder = write_tiny(tmp_path / "base", "qwen2_5_vl")
    index = {"metadata": {}, "weight_map": {EMBEDDINGS: "model-00001-of-00001.safetensors"}}
    files = {
        "config.json": (folder / "config.json").read_bytes(),
        "model.safetensors.index.json": json.dumps(index).encode(),
        "preprocessor_config.json": json.dumps({"min_pixels": 3136, "max_pixels": 60_000}).encode(),
    }
    server = LoopbackHub()
    server.repositories["models/lab/base"] = Repository(files)
    home = tmp_path / "home"
    with served(server.application) as address:
        cost = asked(address, home, "--video_size", "[720,1280]")
        assert 50_000 < cost["size"][0] * cost["size"][1] <= 60_000
        before = server.requests.copy()
        assert asked(address, home, "--video_size", "[720,1280]", offline=True) == cost
        assert server.requests == before
