"""A base is the same in whatever files it lies; another one is refused by naming what differs, and taken where asked for."""

import json
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.routers.tiny_backbones import write_tiny
from videorouter.routers.answering.video_router import VideoRouter
from videorouter.routers.checkpoints import base_content, remembered_hashes
from videorouter.routers.checkpoints.base_content import BASE, content_here, difference, write_content
from videorouter.routers.checkpoints.base_identity import BaseModel, CheckpointError, base_identity, weights_hash
from videorouter.routers.checkpoints.canonical_config import unlike_keys
from videorouter.routers.checkpoints.router_folder import RouterConfig, check_base, read_config
from videorouter.routers.checkpoints.same_base import same_base

ROOT = Path(__file__).parents[2]
SAVED = ROOT / "tests" / "saved" / "0.1.0"
REMEDY = "pass the right one"
OPENED: list[str] = []


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open" and str(arguments[0]).endswith(".safetensors"):
        OPENED.append(str(arguments[0]))


sys.addaudithook(_note)  # for as long as the process lives


@contextmanager
def weights_opened() -> Iterator[list[str]]:
    """The weight files that the body opens."""
    OPENED.clear()
    yield OPENED


@pytest.fixture
def remembering(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of remembered hashes of this test's own."""
    folder = tmp_path / "remembered"
    monkeypatch.setenv(remembered_hashes.CACHE, str(folder))
    return folder


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return write_tiny(tmp_path / "tiny", "internvl")


def resharded(base: Path, out: Path, files: int = 3) -> Path:
    """The same tensors in other files of other names."""
    shutil.copytree(base, out)
    tensors = load_file(out / "model.safetensors")
    (out / "model.safetensors").unlink()
    placed = {name: f"part-{number % files}.safetensors" for number, name in enumerate(reversed(sorted(tensors)))}
    for file in set(placed.values()):
        save_file({name: tensors[name] for name, at in placed.items() if at == file}, out / file)
    (out / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": placed}))
    return out


def with_config(base: Path, out: Path, **changes: Any) -> Path:
    """The same weights with other entries in config.json; `text_` entries are the text config's."""
    shutil.copytree(base, out)
    config = json.loads((out / "config.json").read_text())
    for key, value in changes.items():
        (config["text_config"] if key.startswith("text_") else config)[key.removeprefix("text_")] = value
    (out / "config.json").write_text(json.dumps(config))
    return out


def with_tensors(base: Path, out: Path, **changes: torch.Tensor) -> Path:
    """The same config with other tensors."""
    shutil.copytree(base, out)
    save_file(load_file(out / "model.safetensors") | changes, out / "model.safetensors")
    return out


def settled(trained_on: Path, found: Path, **options: Any) -> BaseModel:
    first, second = base_identity(str(trained_on)), base_identity(str(found))
    return same_base(first, second, remedy=REMEDY, **options)


def test_the_same_weights_in_other_files_are_the_same_base(tiny: Path, tmp_path: Path) -> None:
    again = resharded(tiny, tmp_path / "again")
    assert weights_hash(tiny) != weights_hash(again)
    assert settled(tiny, again) == base_identity(str(again))
    assert content_here(str(tiny)).total == content_here(str(again)).total  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "changes",
    [
        {"transformers_version": "4.52.1"},
        {"_name_or_path": "somewhere/else", "architectures": ["Another"], "use_cache": False},
        {"torch_dtype": "float32", "dtype": None},
        {"text_transformers_version": "4.52.1", "text_use_cache": False, "text_initializer_range": 0.5},
    ],
)
def test_a_config_that_differs_in_nothing_that_counts_is_the_same_base(
    changes: dict[str, Any], tiny: Path, tmp_path: Path
) -> None:
    other = with_config(tiny, tmp_path / "other", **changes)
    assert weights_hash(tiny) != weights_hash(other)
    settled(tiny, other)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"text_rms_norm_eps": 1e-4}, "text_config.rms_norm_eps"),
        (
            {"text_rope_parameters": {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 10000.0}},
            "rope_parameters.factor",
        ),
        ({"image_seq_length": 17}, "image_seq_length"),
        ({"dtype": "float16"}, "dtype"),
        ({"text_max_position_embeddings": 77}, "text_config.max_position_embeddings"),
    ],
)
def test_a_config_that_can_change_an_answer_is_another_base(
    changes: dict[str, Any], named: str, tiny: Path, tmp_path: Path
) -> None:
    other = with_config(tiny, tmp_path / "other", **changes)
    with pytest.raises(CheckpointError, match=rf"differs in config.json: .*{named}.*: {REMEDY}, or .*--accept-base"):
        settled(tiny, other)


def test_an_old_spelling_of_the_same_entry_is_no_difference() -> None:
    text = {"model_type": "qwen2", "hidden_size": 64, "num_attention_heads": 4}
    old = {"model_type": "internvl", "text_config": text | {"rope_theta": 5e5, "torch_dtype": "bfloat16"}}
    new = {"model_type": "internvl", "text_config": text | {"dtype": "bfloat16"}}
    new["text_config"] |= {"rope_parameters": {"rope_type": "default", "rope_theta": 5e5}}  # type: ignore[operator]
    assert unlike_keys(old, new) == []
    assert unlike_keys({"model_type": "unheard", "a": 1}, {"model_type": "unheard", "a": 2, "use_cache": True}) == ["a"]


def test_a_fine_tuned_base_is_refused_by_naming_the_tensor(tiny: Path, tmp_path: Path) -> None:
    tensors = load_file(tiny / "model.safetensors")
    name = sorted(tensors)[5]
    changed = tensors[name].clone()
    changed.view(-1)[0] += 1
    other = with_tensors(tiny, tmp_path / "other", **{name: changed})
    with pytest.raises(CheckpointError, match=rf"differs in 1 of {len(tensors)} tensors, {name}: {REMEDY}"):
        settled(tiny, other)
    less = shutil.copytree(tiny, tmp_path / "less")
    save_file({key: value for key, value in tensors.items() if key != name}, less / "model.safetensors")
    with pytest.raises(CheckpointError, match=rf"1 of {len(tensors)} tensors, {name}"):
        settled(tiny, less)
    two = with_tensors(tiny, tmp_path / "two", **{key: tensors[key].half() for key in sorted(tensors)[:2]})
    with pytest.raises(CheckpointError, match=rf"2 of {len(tensors)} tensors, the first {sorted(tensors)[0]}"):
        settled(tiny, two)


def test_an_accepted_base_is_named_as_it_is_and_what_differs_is_said_in_a_line(
    tiny: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tensors = load_file(tiny / "model.safetensors")
    name = sorted(tensors)[0]
    other = with_config(tiny, tmp_path / "config", text_rms_norm_eps=1e-4)
    save_file(tensors | {name: tensors[name] + 1}, other / "model.safetensors")
    with caplog.at_level(logging.WARNING, "videorouter"):
        assert settled(tiny, other, accept=True) == base_identity(str(other))
    (line,) = caplog.messages
    assert "\n" not in line
    assert f"in config.json: text_config.rms_norm_eps and in 1 of {len(tensors)} tensors, {name}" in line


def test_names_that_another_version_of_transformers_gives_are_no_difference(tiny: Path, tmp_path: Path) -> None:
    """InternVL as it is published: `language_model.model.`, where transformers 5 says `model.language_model.`."""
    tensors = load_file(tiny / "model.safetensors")

    def turned(name: str) -> str:
        if name.startswith("model.language_model."):
            return name.replace("model.language_model.", "language_model.model.", 1)
        if name.startswith("language_model.model."):
            return name.replace("language_model.model.", "model.language_model.", 1)
        return name.replace("language_model.lm_head", "lm_head") if "language_model." in name else name

    other = shutil.copytree(tiny, tmp_path / "other")
    renamed = {turned(name): value for name, value in tensors.items()}
    assert renamed.keys() != tensors.keys()
    save_file(renamed, other / "model.safetensors")
    settled(tiny, other)


def test_a_head_stored_beside_the_embeddings_that_it_equals_is_no_difference(tiny: Path, tmp_path: Path) -> None:
    tensors = load_file(tiny / "model.safetensors")
    head = next(name for name in tensors if name.endswith("lm_head.weight"))
    rows = next(value for name, value in tensors.items() if name.endswith("embed_tokens.weight"))
    tied, stored, own = (shutil.copytree(tiny, tmp_path / name) for name in ("tied", "stored", "own"))
    save_file({name: value for name, value in tensors.items() if name != head}, tied / "model.safetensors")
    save_file(tensors | {head: rows.clone()}, stored / "model.safetensors")
    save_file(tensors | {head: rows + 1}, own / "model.safetensors")
    settled(tied, stored)
    with pytest.raises(CheckpointError, match=head):
        settled(tied, own)


def test_what_was_hashed_is_remembered_until_a_file_changes(tiny: Path, tmp_path: Path, remembering: Path) -> None:
    again = resharded(tiny, tmp_path / "again")
    with weights_opened() as opened:
        settled(tiny, again)
    assert opened
    with weights_opened() as opened:
        base_identity(str(tiny))
        base_identity(str(again))
    assert not opened, "nothing is read for a hash that is known"
    read: list[Any] = []
    contents = [content_here(str(folder)) for folder in (tiny, again)]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(remembered_hashes.TensorRanges, "sha256", read.append)
        assert not difference(*contents)  # type: ignore[arg-type]
    assert not read, "headers alone are read"
    tensors = load_file(tiny / "model.safetensors")
    save_file({name: value + 1 for name, value in tensors.items()}, tiny / "model.safetensors")
    os.utime(tiny / "model.safetensors", ns=(1, 1))
    with pytest.raises(CheckpointError, match=f"{len(tensors)} of {len(tensors)} tensors"):
        settled(again, tiny)
    assert list(remembering.rglob("*.json"))


def test_processes_that_want_the_same_hash_read_the_file_once(tiny: Path, tmp_path: Path, remembering: Path) -> None:
    """As the ranks of a training do: one reads, the others are told."""
    code = (
        "import sys, time; from pathlib import Path; from videorouter.routers.checkpoints import remembered_hashes as r\n"
        "real = r._sha256\n"
        "def slow(path): print('read', flush=True); time.sleep(1); return real(path)\n"
        "r._sha256 = slow\n"
        "print(r.file_sha256(Path(sys.argv[1])))"
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tiny / "model.safetensors")], stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        for _ in range(3)
    ]
    lines = [line for one in started for line in one.communicate(timeout=120)[0].splitlines()]
    assert lines.count("read") == 1
    assert len({line for line in lines if line != "read"}) == 1
    assert len(lines) == 4


def test_a_cache_that_cannot_be_written_costs_time_alone(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = weights_hash(tiny)
    monkeypatch.setenv(remembered_hashes.CACHE, "/proc/nothing")
    assert weights_hash(tiny) == known


def test_an_export_that_lists_its_base_names_what_differs_when_the_base_is_gone(
    router: Path, base: Path, tmp_path: Path
) -> None:
    content = content_here(str(base))
    assert content is not None
    folder = shutil.copytree(router, tmp_path / "router")
    write_content(folder, content)
    told = json.loads((folder / "config.json").read_text())
    told["base"] |= {"path": "gone/base", "tensors": content.total}
    (folder / "config.json").write_text(json.dumps(told))
    again = resharded(base, tmp_path / "again")
    loaded = VideoRouter.from_pretrained(folder, base=str(again))
    assert loaded.config.base == BaseModel(str(again), weights_hash(again), None, content.total)
    loaded.save_pretrained(tmp_path / "saved")
    assert (tmp_path / "saved" / BASE).read_bytes() == (folder / BASE).read_bytes()
    tensors = load_file(base / "model.safetensors")
    name = sorted(tensors)[0]
    other = with_tensors(base, tmp_path / "other", **{name: tensors[name] + 1})
    with pytest.raises(CheckpointError, match=rf"1 of {len(tensors)} tensors, {name}: pass the right one with --base"):
        VideoRouter.from_pretrained(folder, base=str(other))
    taken = VideoRouter.from_pretrained(folder, base=str(other), accept_base=True)
    assert (taken.config.base.sha256, taken.config.base.tensors) == (weights_hash(other), None)
    (folder / BASE).write_text("{}")
    with pytest.raises(ValueError, match="is not as `videorouter routers export` writes it"):
        VideoRouter.from_pretrained(folder, base=str(other))


def test_a_base_that_nothing_is_known_of_but_its_hash_is_refused_and_can_be_accepted(
    router: Path, base: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(router, tmp_path / "router")
    told = json.loads((folder / "config.json").read_text())
    told["base"] |= {"path": "gone/base"}
    (folder / "config.json").write_text(json.dumps(told))
    again = resharded(base, tmp_path / "again")
    with pytest.raises(CheckpointError, match=r"what differs cannot be told.*--accept-base"):
        VideoRouter.from_pretrained(folder, base=str(again))
    VideoRouter.from_pretrained(folder, base=str(again), accept_base=True)


def test_exports_of_0_1_0_are_compared_with_the_base_where_they_left_it(tmp_path: Path) -> None:
    folder = tmp_path / "saved"
    for name in ("router", "base"):
        shutil.copytree(SAVED / name, folder / name)
    config: RouterConfig = read_config(folder / "router")
    assert config.base.tensors is None
    assert check_base(config, config.base.path).base == config.base
    again = resharded(folder / "base", tmp_path / "again")
    assert check_base(config, str(again)).base.sha256 == weights_hash(again)
    other = with_config(folder / "base", tmp_path / "other", text_rms_norm_eps=1e-4)
    with pytest.raises(CheckpointError, match=r"text_config.rms_norm_eps"):
        check_base(config, str(other))


def test_tensors_are_not_hashed_where_their_shapes_differ(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tensors = load_file(tiny / "model.safetensors")
    name = next(name for name in tensors if name.endswith("lm_head.weight"))
    other = with_tensors(tiny, tmp_path / "other", **{name: tensors[name][:-1].clone()})
    first, second = base_identity(str(tiny)), base_identity(str(other))
    monkeypatch.setattr(base_content, "tensor_sha256", lambda path: pytest.fail("read"))
    with pytest.raises(CheckpointError, match=name):
        same_base(first, second, remedy=REMEDY)
