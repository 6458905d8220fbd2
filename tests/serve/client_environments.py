"""Environments for clients that are packages of their own: `python -m tests.serve.client_environments [FOLDER]` (.venv-clients).

lmms-eval sees the packages of this environment; LangChain is alone in its own, with the libraries it asks for.
"""

import os
import shutil
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.eval.lmms_eval_environment import ROOT, empty_environment, install, released, site_packages

LANGCHAIN: Final = "langchain-openai==1.7.*"
OF_ITS_CLIENTS: Final = ("python-dotenv", "qwen-vl-utils==0.0.14", "torchvision==0.28.0")
"""What lmms-eval's clients import beside its evaluator, to read frames; this torchvision goes with the torch of constraints.txt."""


def python_of(client: str) -> Path:
    """Of the environment of `langchain` or `lmms-eval`; the test is skipped where nobody made it."""
    if not (folder := os.environ.get("VIDEOROUTER_CLIENTS")):
        pytest.skip("VIDEOROUTER_CLIENTS is not set: `make test-clients` makes the environments and sets it")
    return Path(folder) / client / "bin" / "python"


def make(folder: Path) -> None:
    """Both environments, unless they are there. Raises `ConnectionError` where packages cannot be fetched."""
    done = folder / ".installed"
    if done.is_file():
        return
    install(empty_environment(folder / "langchain"), LANGCHAIN)
    python = released(folder / "lmms-eval")
    install(python, "--no-deps", *OF_ITS_CLIENTS)
    shutil.copy(ROOT / "scripts" / "torchvision_operators.py", site_packages(python) / "sitecustomize.py")
    done.touch()


if __name__ == "__main__":
    make(Path(sys.argv[1] if len(sys.argv) > 1 else ".venv-clients"))
