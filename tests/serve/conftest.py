"""Servers that tests share, each started once a session: of the shipped router, an upstream, and one in front of a real vLLM."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.loopback.files import folder_server
from tests.loopback.serving import served
from tests.serve.openai_upstream import UpstreamProcess, running_upstream
from tests.serve.server_process import server_process
from tests.serve.serving import KEY, MOST_FRAMES, MOST_MEGABYTES, MOST_WAITING, NAME, Serving
from tests.serve.world_questions import WorldQuestions
from videorouter.miniature.bases import ROBUST
from videorouter.miniature.world.build import build_world


@pytest.fixture(scope="session")
def asked(tmp_path_factory: pytest.TempPathFactory) -> WorldQuestions:
    """Eight questions about each of two videos of 64 seconds."""
    folder = tmp_path_factory.mktemp("asked")
    build_world(folder, videos=2, seconds=64, seed=4711, questions_per_video=8, splits=(0, 0, 100), workers=1)
    return WorldQuestions(folder)


@pytest.fixture(scope="session")
def routed(shipped_vllm: str, asked: WorldQuestions, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Our server in front of that vLLM, which is sent embeddings."""
    options = ("--engine", "vllm", "--upstream", shipped_vllm, "--base", str(ROBUST), "--media_root", str(asked.folder))
    with server_process(tmp_path_factory.mktemp("routed"), *options) as address:
        yield address


@pytest.fixture(scope="session")
def vllm_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where further vLLMs write what they say."""
    return tmp_path_factory.mktemp("vllms") / "log"


@pytest.fixture(scope="session")
def upstream() -> Iterator[UpstreamProcess]:
    """A server of OpenAI's interface that answers with what it was sent, which no test stops."""
    with running_upstream() as process:
        yield process


@pytest.fixture(scope="session")
def serving(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A server with an API key, a media root, and a web server of videos that it may ask."""
    options = ["--name", NAME, "--media_root", str(world), "--most_waiting", str(MOST_WAITING)]
    options += ["--most_megabytes", str(MOST_MEGABYTES), "--most_frames", str(MOST_FRAMES)]
    with served(folder_server(world)) as web:
        options += ["--video_hosts", f"[{web.removeprefix('http://')}]"]
        with server_process(tmp_path_factory.mktemp("server"), *options, keys=KEY) as address:
            yield Serving(address, world, web)
