"""With HF_HUB_OFFLINE=1 and a filled cache every command works, and no request is tried."""

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from transformers import InternVLForConditionalGeneration

from tests.loopback.hub import LoopbackHub, Repository
from tests.loopback.serving import served

ROOT = Path(__file__).parents[2]
SAVED = ROOT / "tests" / "saved" / "0.1.0"
RUN = """
import json, shlex, sys
tried = []
def note(event, arguments):
    if event in ("socket.getaddrinfo", "socket.gethostbyname") or event == "socket.connect" and isinstance(arguments[1], tuple):
        tried.append(f"{event} {arguments[1:]}")
sys.addaudithook(note)
from videorouter.__main__ import main
codes = []
for line in json.loads(sys.argv[1]):
    sys.argv = ["videorouter", *shlex.split(line)]
    before = len(tried)
    try:
        code = main() or 0
    except SystemExit as left:
        code = left.code or 0
    codes.append([line, code, tried[before:]])
print()
print(json.dumps(codes))
"""
FILL = "import sys; from huggingface_hub import snapshot_download as s; [s(name) for name in sys.argv[1:]]"
VIDEO = "--question Which? --video world/videos/miniature-0000.mp4 --max-new-tokens 2"
TRAIN = (
    "--data.init_args.shards video-flr --data.init_args.batch_size 2 --data.init_args.batches_a_step 1 "
    "--trainer.max_epochs 1 --trainer.limit_val_batches 0"
)
FIRST = f"--config miniature/image_router --model.init_args.base lab/base {TRAIN}"
JOINT = (
    f"--config miniature/joint --model.init_args.routers router {TRAIN} --data.init_args.more_labels video-qtr "
    "--data.init_args.questions_per_item 1"
)


class CountedHub:
    """A hub with every request to it."""

    def __init__(self) -> None:
        self.hub, self.requests = LoopbackHub(), Counter[str]()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.requests[f"{scope.get('method')} {scope.get('path')}"] += 1
        await self.hub.application(scope, receive, send)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with what 0.1.0 saved; its router names the base on the hub."""
    folder = tmp_path / "place"
    shutil.copytree(SAVED, folder)
    return folder


@pytest.fixture
def hub(place: Path, tmp_path: Path) -> Iterator[tuple[CountedHub, str]]:
    """A hub with the base in three shards, and the router over it."""
    counted = CountedHub()
    model = InternVLForConditionalGeneration.from_pretrained(place / "base")
    model.save_pretrained(tmp_path / "sharded", max_shard_size="300KB")
    assert len(list((tmp_path / "sharded").glob("*.safetensors"))) > 2
    kept = {path.name: path.read_bytes() for path in (place / "base").iterdir() if path.suffix != ".safetensors"}
    files = kept | {path.name: path.read_bytes() for path in (tmp_path / "sharded").iterdir()}
    base = counted.hub.repositories["models/lab/base"] = Repository(files)
    told = json.loads((place / "router" / "config.json").read_text())
    told["base"] = {"path": "lab/base", "sha256": _hash_of(tmp_path / "sharded", kept), "revision": base.head}
    (place / "router" / "config.json").write_text(json.dumps(told))
    routers = {path.name: path.read_bytes() for path in (place / "router").iterdir()}
    counted.hub.repositories["models/lab/router"] = Repository(routers)
    shutil.rmtree(place / "base")
    with served(counted) as address:  # type: ignore[arg-type]
        yield counted, address


def _hash_of(sharded: Path, kept: dict[str, bytes]) -> str:
    from videorouter.routers.checkpoints.base_identity import weights_hash

    for name, content in kept.items():
        if not (sharded / name).exists():
            (sharded / name).write_bytes(content)
    return weights_hash(sharded)


def run(place: Path, address: str, offline: bool, *command: str) -> str:
    environment = os.environ | {
        "HF_ENDPOINT": address, "HF_HUB_OFFLINE": str(int(offline)), "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HOME": str(place.parent / "home"), "VIDEOROUTER_CACHE": "", "PYTHONPATH": str(ROOT),
    }  # fmt: skip
    environment.pop("HF_TOKEN", None)
    done = subprocess.run(
        [sys.executable, "-c", *command], env=environment, text=True, capture_output=True, cwd=place, timeout=500
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def commands(place: Path, address: str, offline: bool, *lines: str) -> None:
    """Run command lines in one process; each must succeed, and offline none may look for the network."""
    told = run(place, address, offline, RUN, json.dumps(lines))
    found = json.loads(next(line for line in reversed(told.splitlines()) if line.startswith('[["')))
    assert [(line, code) for line, code, _ in found] == [(line, 0) for line in lines], told
    if offline:
        assert not [(line, tried) for line, _, tried in found if tried]


def test_with_a_filled_cache_every_command_works_offline_and_asks_nobody(
    hub: tuple[CountedHub, str], place: Path
) -> None:
    counted, address = hub
    run(place, address, False, FILL, "lab/base", "lab/router")
    before = counted.requests.copy()
    commands(
        place,
        address,
        True,
        f"answer --model lab/router {VIDEO}",
        f"answer --base lab/base --system dense {VIDEO}",
        "estimate --model lab/base",
        "estimate --model router",
        f"answer --model router --estimate {VIDEO}",
        f"train check {FIRST} --out first",
        f"train fit {FIRST} --out first",
        f"train check {JOINT} --out joint",
        f"train fit {JOINT} --out joint",
        "eval run --config eval/miniature --model router --data world --frames 4 --limit 1 --systems [videorouter] --out run",
    )
    assert counted.requests == before


@pytest.mark.slow
def test_what_a_training_downloaded_is_enough_for_it_offline(hub: tuple[CountedHub, str], place: Path) -> None:
    """Stage 1 downloads the files with early tensors alone: the hash of the whole base is remembered."""
    counted, address = hub
    commands(place, address, False, f"train fit {FIRST} --out first")
    before = counted.requests.copy()
    commands(place, address, True, f"train check {FIRST} --out second", f"train fit {FIRST} --out second")
    assert counted.requests == before


ASKED = """
import sys
opened, tried = [], []
def note(event, arguments):
    if event == "open" and str(arguments[0]).endswith(".safetensors"):
        opened.append(arguments[0])
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        tried.append(arguments[1])
sys.addaudithook(note)
from videorouter.routers.checkpoints.base_identity import base_identity
from videorouter.routers.checkpoints.hub_snapshot import cached_snapshot
"""
TELL = """
try:
    print("told", base_identity("lab/base", local_files_only=LOCAL).sha256)
    print("told", base_identity(str(cached_snapshot("lab/base"))).sha256)
except ValueError as error:
    print("refused", error)
print(len(opened), "opened,", "some" if tried else "none", "tried")
"""


def test_a_snapshot_tells_its_hash_and_no_weight_is_read(hub: tuple[CountedHub, str], place: Path) -> None:
    counted, address = hub
    run(place, address, False, FILL, "lab/base")
    shutil.rmtree(place.parent / "home" / "videorouter", ignore_errors=True)
    before = counted.requests.copy()
    wanted = json.loads((place / "router" / "config.json").read_text())["base"]["sha256"]
    told = f"told {wanted}\n" * 2
    assert told + "0 opened, none tried\n" in run(place, address, True, ASKED + TELL.replace("LOCAL", "False"))
    assert told + "0 opened, none tried\n" in run(place, address, False, ASKED + TELL.replace("LOCAL", "True"))
    assert counted.requests == before
    nobody = "http://127.0.0.1:9"
    assert told + "0 opened, some tried\n" in run(place, nobody, False, ASKED + TELL.replace("LOCAL", "False"))


def test_part_of_a_snapshot_is_refused_with_the_remedy(hub: tuple[CountedHub, str], place: Path) -> None:
    _, address = hub
    nothing = run(place, address, True, ASKED + TELL.replace("LOCAL", "False"))
    assert "refused lab/base is not a folder here, and not in the Hub's cache: fetch it" in nothing
    part = "from huggingface_hub import hf_hub_download as fetch; "
    part += "[fetch('lab/base', name) for name in ('config.json', 'model.safetensors.index.json')]"
    run(place, address, False, part)
    partly = run(place, address, True, ASKED + TELL.replace("LOCAL", "False"))
    assert "refused the Hub's cache holds only some weight files of lab/base" in partly
    assert "`hf download lab/base`" in partly
