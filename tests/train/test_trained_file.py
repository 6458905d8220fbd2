"""What training keeps is read back bit for bit, and is on disk whole or not at all."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open

from videorouter.routers.checkpoints.tensor_file import Entry
from videorouter.routers.checkpoints.trained_file import TrainedFileError, read_record, read_tensors
from videorouter.routers.checkpoints.trained_writer import write_trained

ROOT = Path(__file__).parents[2]
SHAPES = st.lists(st.integers(0, 5), max_size=3)
DTYPES = st.sampled_from([torch.float32, torch.bfloat16, torch.int64, torch.uint8, torch.bool])


@given(
    st.dictionaries(
        st.sampled_from(["state/a", "state/b", "optimizer/a/exp_avg", "rng/0/torch"]), st.tuples(SHAPES, DTYPES)
    )
)
def test_tensors_and_record_come_back_as_they_were(
    tmp_path_factory: pytest.TempPathFactory, wanted: dict[str, tuple[list[int], torch.dtype]]
) -> None:
    path = tmp_path_factory.mktemp("file") / "last.ckpt"
    tensors = {name: (torch.randn(shape) * 9).to(dtype) for name, (shape, dtype) in wanted.items()}
    record = {"steps": 3, "nested": {"list": [1, 2.5, None, "words"]}}
    write_trained(path, {name: Entry.of(tensor) for name, tensor in tensors.items()}, record)
    assert read_record(path) == record
    back = read_tensors(path, "")
    assert back.keys() == tensors.keys()
    assert all(torch.equal(back[name], tensors[name]) and back[name].dtype == tensors[name].dtype for name in tensors)
    with safe_open(path, "pt") as plain:  # any reader of safetensors reads it
        assert set(plain.keys()) == set(tensors)


def test_a_full_disk_leaves_the_last_checkpoint_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    write_trained(path, {"state/a": Entry.of(torch.ones(4))}, {"steps": 1})
    before = path.read_bytes()
    code = f"""
import resource, signal, torch
from pathlib import Path
from videorouter.routers.checkpoints.tensor_file import Entry
from videorouter.routers.checkpoints.trained_writer import write_trained
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
write_trained(Path({str(path)!r}), {{"state/a": Entry.of(torch.ones(100_000))}}, {{"steps": 2}})
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, text=True, capture_output=True)
    assert "make room or choose another --out; what was complete is intact" in done.stderr
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["last.ckpt"]


@pytest.mark.parametrize("content", [b"", b"\x80\x02pickled", b"\xff" * 64])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "last.ckpt").write_bytes(content)
    with pytest.raises(TrainedFileError, match=r"last\.ckpt"):
        read_record(tmp_path / "last.ckpt")
    with pytest.raises(TrainedFileError, match="no checkpoint file at"):
        read_record(tmp_path / "other.ckpt")


def test_a_file_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    write_trained(path, {"state/a": Entry.of(torch.ones(400))}, {"steps": 1})
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(TrainedFileError, match=r"last\.ckpt"):
        read_tensors(path, "state/")
