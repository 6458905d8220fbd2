"""What several packages' tests start from: a small world, a base, a router, a teacher. Made once a session, in seconds."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).parents[1]
OLD_NAMES = {"video", "shards", "configs", "routers", "data_builders", "train", "eval", "serve", "miniature"}


class RefusedNames(MetaPathFinder):
    """The packages are importable as `videorouter.NAME` alone: under another name a module would exist twice."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name.split(".")[0] in OLD_NAMES:
            raise ImportError(f"{name}: import videorouter.{name}")


sys.meta_path.insert(0, RefusedNames())
settings.register_profile("unhurried", deadline=None)  # a busy machine is no failure
settings.load_profile("unhurried")
HASHES = tempfile.TemporaryDirectory(prefix="videorouter-hashes-")
"""Of the tests' own files, which nobody else wants to remember."""
os.environ.setdefault("VIDEOROUTER_CACHE", HASHES.name)
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real videos and annotations."""
    folder = os.environ.get("VIDEOROUTER_REAL_DATA")
    if not folder:
        pytest.skip("VIDEOROUTER_REAL_DATA is not set: real videos are needed")
    return Path(folder)


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A miniature world of six short videos: three train, one val, two test."""
    from videorouter.miniature.world.build import build_world

    folder = tmp_path_factory.mktemp("world")
    build_world(folder, videos=6, seconds=20, seed=7, questions_per_video=8, splits=(50, 17, 33), workers=1)
    return folder


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny InternVL checkpoint with random weights."""
    from videorouter.miniature.pretraining.model import write_base

    return write_base(tmp_path_factory.mktemp("base") / "base")


@pytest.fixture(scope="session")
def router(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A router folder with random heads over `base`."""
    from videorouter.miniature.pretraining.model import write_untrained_router

    return write_untrained_router(tmp_path_factory.mktemp("router") / "router", base)


@contextmanager
def running_teacher(*options: str) -> Iterator[str]:
    """A miniature teacher in a process of its own, started outside the checkout's data; its base URL."""
    process = subprocess.Popen(
        [sys.executable, "-m", "miniature", "teacher", "--port", "0", *options],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield next(line.split()[-1] for line in process.stdout if "http://" in line)
    finally:
        process.terminate()
        process.wait(timeout=20)


@pytest.fixture(scope="session")
def teacher() -> Iterator[str]:
    """A faultless miniature teacher."""
    with running_teacher() as url:
        yield url


@pytest.fixture(scope="session")
def start_teacher() -> Callable[..., object]:
    """Starts a teacher with options of its own: `with start_teacher("--malformed", "0.2") as url`."""
    return running_teacher


@pytest.fixture(scope="session")
def flr(world: Path, teacher: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Video-FLR shards of the world, built through the teacher."""
    from videorouter.data_builders.__main__ import main

    out = tmp_path_factory.mktemp("flr") / "flr"
    arguments = ["flr", "annotate", "--config", "miniature/flr_annotate", "--questions", str(world / "questions.jsonl")]
    arguments += ["--videos", str(world), "--teacher.base_url", teacher, "--out", str(out), "--videos_per_shard", "2"]
    assert main(arguments) == 0
    return out


@pytest.fixture(scope="session")
def qtr(world: Path, flr: Path, teacher: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Video-QTR shards of the world, built through the teacher; ties of so few probes may be in quarantine."""
    from videorouter.data_builders.__main__ import main

    out = tmp_path_factory.mktemp("qtr") / "qtr"
    arguments = [
        "qtr",
        "--config",
        "miniature/qtr",
        "--questions",
        str(world / "questions.jsonl"),
        "--videos",
        str(world),
    ]
    arguments += ["--teacher.base_url", teacher, "--relevance", str(flr), "--out", str(out)]
    assert main(arguments) in (0, 3)
    return out


@pytest.fixture(scope="session")
def shipped_vllm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A vLLM that serves the shipped base, up to /v1: its heads are wider than vLLM's own class of the family takes them for."""
    from tests.loopback.vllm import vllm_server
    from videorouter.miniature.bases import ROBUST

    log = tmp_path_factory.mktemp("vllm") / "log"
    with vllm_server(ROBUST, log, "--model-impl", "transformers") as address:
        yield address
