"""Decoders that misbehave, importable by a decoding process."""

import os
import re
import signal
import time
from pathlib import Path

from videorouter.video.frames import SampledFrames


def sleep_forever(path: Path) -> SampledFrames:
    time.sleep(3600)
    raise AssertionError(path)


def keep_the_lock_forever(path: Path) -> SampledFrames:
    """As native code that never returns to the interpreter: no other thread runs."""
    re.match(r"(a+)+b", "a" * 64)
    raise AssertionError(path)


def die(path: Path) -> SampledFrames:
    os.kill(os.getpid(), signal.SIGSEGV)
    raise AssertionError(path)


def be_killed(path: Path) -> SampledFrames:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError(path)


def take_memory(path: Path) -> SampledFrames:
    taken = []
    while True:
        taken.append(bytearray(os.urandom(2**20) * 16))
        time.sleep(0.005)


def run_out_of_memory(path: Path) -> SampledFrames:
    raise MemoryError(path)
