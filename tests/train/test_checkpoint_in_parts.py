"""A checkpoint that ranks write in parts is what one process writes, whole or not at all, and says what it lacks."""

import random
import shutil
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from videorouter.routers.checkpoints.tensor_file import Entry
from videorouter.routers.checkpoints.trained_file import TrainedFile, TrainedFileError, read_record, read_tensors
from videorouter.routers.checkpoints.trained_writer import Part, remove_trained, write_in_parts, write_trained

WHOLE = {"state/big": (40, 50), "state/one": (1,), "optimizer/big/exp_avg": (40, 50), "state/odd": (7, 3)}


class Talk:
    """What ranks tell each other, as threads."""

    def __init__(self, ranks: int) -> None:
        self.told: list[Any] = [None] * ranks
        self.barrier = threading.Barrier(ranks, timeout=20)


@dataclass(frozen=True)
class Rank:
    rank: int
    talk: Talk

    def all_told(self, told: Any) -> list[Any]:
        self.talk.told[self.rank] = told
        self.talk.barrier.wait()
        everyone = list(self.talk.told)
        self.talk.barrier.wait()
        return everyone


def cut(tensors: Mapping[str, Tensor], ranks: int, seed: int) -> list[dict[str, Part]]:
    """Tensors at random places, some ranks with nothing of one."""
    chance, held = random.Random(seed), [dict[str, Part]() for _ in range(ranks)]
    for name, tensor in tensors.items():
        flat = tensor.flatten()
        ends = sorted(chance.randrange(len(flat) + 1) for _ in range(ranks - 1))
        for mine, start, end in zip(held, [0, *ends], [*ends, len(flat)], strict=True):
            if start < end:
                mine[name] = Part(Entry.of(flat[start:end]), start, tuple(tensor.shape))
    return held


def write(path: Path, parts: list[dict[str, Part]], record: Mapping[str, Any]) -> None:
    """By all ranks at once; the first one's error is raised."""
    talk = Talk(len(parts))
    rng = {"rng/0/torch": Entry.of(torch.arange(5, dtype=torch.uint8))}

    def work(rank: int) -> None:
        write_in_parts(path, parts[rank], rng if rank == 0 else {}, record, Rank(rank, talk))

    with ThreadPoolExecutor(len(parts)) as threads:
        for done in [threads.submit(work, rank) for rank in range(len(parts))]:
            done.result()


@pytest.fixture
def tensors() -> dict[str, Tensor]:
    return {name: torch.randn(shape) for name, shape in WHOLE.items()}


@pytest.mark.parametrize("ranks", [2, 5])
def test_it_reads_as_one_of_a_single_process(tmp_path: Path, tensors: dict[str, Tensor], ranks: int) -> None:
    for seed in range(10):
        write(path := tmp_path / "last.ckpt", cut(tensors, ranks, seed), {"steps": seed})
        back = read_tensors(path, "")
        assert read_record(path) == {"steps": seed}
        assert back.keys() == {*WHOLE, "rng/0/torch"}
        assert all(torch.equal(back[name], tensors[name]) for name in WHOLE)
        with TrainedFile(path) as file:
            assert torch.equal(file.part("state/big", range(700, 1900)), tensors["state/big"].flatten()[700:1900])
    (only,) = (tmp_path / "last.ckpt.parts").iterdir()
    assert len(list(only.iterdir())) == ranks, "those of earlier ones are gone"


def test_a_part_of_a_tensor_is_read_from_its_own_bytes(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    write(path := tmp_path / "last.ckpt", cut(tensors, 2, 0), {})
    with TrainedFile(path) as file:
        before = file.bytes_read
        file.part("state/big", range(100, 300))
        assert file.bytes_read - before == 200 * 4


@pytest.mark.parametrize("failing", [0, 1])
def test_a_rank_that_cannot_write_leaves_the_last_checkpoint_as_it_was(
    tmp_path: Path, tensors: dict[str, Tensor], failing: int
) -> None:
    write(path := tmp_path / "last.ckpt", cut(tensors, 2, 0), {"steps": 1})

    def full_disk() -> Tensor:
        raise OSError(28, "No space left on device")

    parts = cut({name: tensor + 1 for name, tensor in tensors.items()}, 2, 1)
    parts[failing]["state/full"] = Part(Entry(torch.float32, (1,), full_disk), 0, (1,))
    with pytest.raises(OSError, match=rf"rank {failing}: .*No space left on device.*make room or choose another --out"):
        write(path, parts, {"steps": 2})
    assert read_record(path) == {"steps": 1}
    assert all(torch.equal(found, tensors[name]) for name, found in read_tensors(path, "").items() if name in tensors)
    assert len(list((tmp_path / "last.ckpt.parts").iterdir())) == 1


def test_it_is_moved_with_its_parts_and_told_where_they_are_missing(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    write(path := tmp_path / "out" / "last.ckpt", cut(tensors, 2, 0), {})
    shutil.copytree(tmp_path / "out", tmp_path / "moved")
    shutil.copy(path, alone := tmp_path / "last.ckpt")
    shutil.rmtree(tmp_path / "out")
    assert torch.equal(read_tensors(tmp_path / "moved" / "last.ckpt", "state/")["big"], tensors["state/big"])
    with pytest.raises(TrainedFileError, match=r"written in 2 parts, .*together with the folder last\.ckpt\.parts"):
        read_record(alone)
    one = next((tmp_path / "moved" / "last.ckpt.parts").glob("*/rank-00001.safetensors"))
    one.write_bytes(one.read_bytes()[:-7])
    with pytest.raises(TrainedFileError, match=r"rank-00001\.safetensors, a part of .* bytes in place of"):
        read_record(tmp_path / "moved" / "last.ckpt")


@pytest.mark.parametrize("replace", [remove_trained, lambda path: write_trained(path, {}, {})])
def test_parts_go_with_the_checkpoint_that_they_belong_to(
    tmp_path: Path, tensors: dict[str, Tensor], replace: Callable[[Path], None]
) -> None:
    write(path := tmp_path / "last.ckpt", cut(tensors, 2, 0), {})
    replace(path)
    assert not (tmp_path / "last.ckpt.parts").exists()
