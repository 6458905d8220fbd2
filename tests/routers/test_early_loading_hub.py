"""From the Hub come only the files that hold early tensors, once."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from transformers import InternVLForConditionalGeneration

from tests.loopback.hub import LoopbackHub, Repository
from tests.loopback.serving import served

ROOT = Path(__file__).parents[2]
LOAD = """
import json, sys
from videorouter.routers.backbones.internvl import InternVLBackbone
from videorouter.routers.backbones.early_loading import load_early
loaded = load_early("lab/base", int(sys.argv[1]))
assert len(InternVLBackbone("lab/base", early_layers=int(sys.argv[1])).embed_text("a question"))
print(json.dumps([loaded.files, loaded.tensor_bytes, loaded.bytes_read]))
"""


def load(layers: int, address: str, home: Path) -> subprocess.CompletedProcess[str]:
    """The real client, in a process of its own: it reads the Hub's address once, when it is imported."""
    environment = os.environ | {
        "HF_ENDPOINT": address, "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1", "HF_HOME": str(home),
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }  # fmt: skip
    return subprocess.run(
        [sys.executable, "-c", LOAD, str(layers)], env=environment, text=True, capture_output=True, cwd=ROOT
    )


def test_only_the_files_that_hold_early_tensors_are_downloaded(base: Path, tmp_path: Path) -> None:
    InternVLForConditionalGeneration.from_pretrained(base).save_pretrained(tmp_path / "sharded", max_shard_size="1MB")
    server = LoopbackHub()
    tokenizer = {path.name: path.read_bytes() for path in base.iterdir() if path.suffix != ".safetensors"}
    sharded = {path.name: path.read_bytes() for path in (tmp_path / "sharded").iterdir()}
    server.repositories["models/lab/base"] = Repository(tokenizer | sharded)
    with served(server.application) as address:
        done = load(2, address, tmp_path / "home")
        assert done.returncode == 0, done.stderr
        files, tensor_bytes, bytes_read = json.loads(done.stdout)
        assert bytes_read <= 1.02 * tensor_bytes
        fetched = {name.removeprefix("GET ") for name in server.requests if name.startswith("GET ")}
        assert {name for name in fetched if name.endswith(".safetensors")} == set(files)
        assert len(files) < len(list((tmp_path / "sharded").glob("*.safetensors")))
        before = server.requests.copy()
        assert load(2, address, tmp_path / "home").stdout == done.stdout
        assert not [name for name in server.requests - before if name.startswith("GET model")], "downloaded twice"


def test_a_single_file_is_downloaded_whole_and_read_in_part(base: Path, tmp_path: Path) -> None:
    server = LoopbackHub()
    server.repositories["models/lab/base"] = Repository({path.name: path.read_bytes() for path in base.iterdir()})
    with served(server.application) as address:
        done = load(2, address, tmp_path / "home")
    assert done.returncode == 0, done.stderr
    files, tensor_bytes, bytes_read = json.loads(done.stdout)
    assert files == ["model.safetensors"]
    assert bytes_read <= 1.02 * tensor_bytes


@pytest.mark.parametrize("kept", [[], ["config.json"]])
def test_a_repository_without_weights_is_refused(base: Path, tmp_path: Path, kept: list[str]) -> None:
    server = LoopbackHub()
    server.repositories["models/lab/base"] = Repository({name: (base / name).read_bytes() for name in kept})
    with served(server.application) as address:
        done = load(2, address, tmp_path / "home")
    assert "ValueError: lab/base holds no safetensors weights" in done.stderr
