"""A writer killed at any moment leaves whole shards, and a rerun ends with the bytes of an unbroken run."""

import os
import signal
import time
from pathlib import Path
from random import Random

import pytest

from tests.shards.samples import sample
from videorouter.shards.errors import MissingShard
from videorouter.shards.reader import ShardDataset
from videorouter.shards.sidecar import write_manifest
from videorouter.shards.verify import verify
from videorouter.shards.writer import is_finished, shard_path, write_shard

KILLS = 50
SAMPLES = [[sample(f"s{shard}v{video}", frames=6, seed=video, side=64) for video in range(3)] for shard in range(6)]


def write_all(folder: Path) -> None:
    """What a builder does: every shard that is not finished, then the manifest."""
    for number, samples in enumerate(SAMPLES):
        path = shard_path(folder, "train", number)
        if not is_finished(path):
            write_shard(path, samples, "f")
    names = [shard_path(folder, "train", number).name for number in range(len(SAMPLES))]
    write_manifest(folder, shards=names, fingerprint="f", config={}, licences=[])


def killed_after(folder: Path, shards: int, seconds: float) -> bool:
    """Run the writer in a process group of its own and kill the group so long after so many shards; whether it was still at work.

    (Counted in shards, so that a busy machine kills at the same points.)
    """
    writer = os.fork()
    if writer == 0:
        try:
            os.setsid()
            write_all(folder)
        finally:
            os._exit(0)
    while len(list(folder.glob("*.tar"))) < shards:
        time.sleep(0.0005)
    time.sleep(seconds)
    os.kill(writer, signal.SIGKILL)
    return os.WIFSIGNALED(os.waitpid(writer, 0)[1])


@pytest.mark.timeout(120)
def test_killed_at_fifty_random_points_shards_are_whole_and_a_rerun_completes_them(tmp_path: Path) -> None:
    unbroken = tmp_path / "unbroken"
    started = time.monotonic()
    write_all(unbroken)
    duration = time.monotonic() - started
    expected = {path.name: path.read_bytes() for path in unbroken.iterdir()}
    random, hit, partial = Random(0), 0, 0
    for number in range(KILLS):
        folder = tmp_path / str(number)
        folder.mkdir()
        hit += killed_after(folder, number % len(SAMPLES), random.uniform(0, 1.2 * duration / len(SAMPLES)))
        verdict = verify(folder)
        assert all(type(problem) is MissingShard for problem in verdict.problems), verdict.problems
        tars = {path.name for path in folder.glob("*.tar")}
        assert bool(verdict.problems) == (not tars)
        partial += 0 < len(tars) < len(SAMPLES)
        if tars:
            assert {place.shard for place in ShardDataset(folder).catalogue.places} == tars
        for name in tars:
            assert (folder / name).read_bytes() == expected[name]
        write_all(folder)
        assert {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".part"} == expected
    assert hit >= KILLS // 2
    assert partial >= KILLS // 5
