"""The most memory a piece of work held at once: of the GPU where it runs on one, else of the process (Linux)."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass
class PeakMemory:
    """`bytes` is known after the work: what torch allocated on the GPU, or the process's resident size. None where neither is."""

    bytes: int | None = None


@contextmanager
def peak_memory(device: torch.device) -> Iterator[PeakMemory]:
    """Watch the work of a `with` block. The marks are the process's own: two blocks at once disturb each other."""
    peak = PeakMemory()
    cuda = device.type == "cuda"
    if cuda:
        torch.cuda.reset_peak_memory_stats(device)
    marked = not cuda and _reset_resident_peak()
    yield peak
    if cuda:
        peak.bytes = torch.cuda.max_memory_allocated(device)
    elif marked:
        peak.bytes = _resident_peak()


def _reset_resident_peak() -> bool:
    try:
        _CLEAR.write_text("5")
    except OSError:
        return False
    return _resident_peak() is not None


def _resident_peak() -> int | None:
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), None)
