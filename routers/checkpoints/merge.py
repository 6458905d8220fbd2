"""A router folder's language model in its base: an ordinary checkpoint of the base's family, for any engine (ours).

Tensors are taken from the base one by one, changed where stage 3 changed them, and written under the names in which the base
is published; the model is never held.
"""

import json
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Unpack

import torch

from videorouter.json_files import read_object
from videorouter.routers.backbones.language_weights import holds_language
from videorouter.routers.backbones.loading import asking_the_hub, check_place, could_be_on_the_hub
from videorouter.routers.backbones.loading_options import HubAccess, HubSource
from videorouter.routers.backbones.weight_files import INDEX, WHOLE
from videorouter.routers.checkpoints.base_identity import CheckpointError
from videorouter.routers.checkpoints.hub import router_folder
from videorouter.routers.checkpoints.merged_tensors import merged_tensors
from videorouter.routers.checkpoints.router_folder import check_base, read_config
from videorouter.routers.checkpoints.tensor_file import Entry, write_tensors

Dtype = Literal["bfloat16", "float32", "float16"]
BESIDE: Final = (
    "*.json", "*.jinja", "*.txt", "*.model", "*.tiktoken", "additional_chat_templates/*.jinja", "LICENSE*", "NOTICE*",
)  # fmt: skip
"""What is copied of a checkpoint beside its weights: generation settings, tokenizer, processor, chat templates."""
_SIZES: Final = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


@dataclass(frozen=True)
class Merged:
    """What was written into `folder`: so many `tensors` of so many `bytes`, of which `changed` are not the base's.

    `lacking` names the files that engines ask for and the base has not.
    """

    folder: Path
    tensors: int
    changed: int
    bytes: int
    lacking: tuple[str, ...]


def merge(
    router: str | Path,
    out: Path,
    *,
    base: str | None = None,
    revision: str | None = None,
    accept_base: bool = False,
    dtype: Dtype = "bfloat16",
    max_shard_size: str = "5GB",
    progress: Callable[[int, int], None] = lambda done, total: None,
    **access: Unpack[HubAccess],
) -> Merged:
    """Write base and language model of the router folder (or Hub id) `router` as one checkpoint into the folder `out`.

    `base` is where the base lies, if not where the folder says; `accept_base` takes another than the recorded one. `revision` is
    that of a router on the Hub. Floating-point tensors become `dtype`; adapters are added in float32. config.json says whether
    the head is tied as it is. `progress` is told the bytes written and those there will be. `access` is how the Hub is asked.
    `out` is there when it is complete, or not at all.

    Raises:
        CheckpointError: for a folder without a language model, or one that does not fit the base; for another base than the
            recorded one, and a quantised one.
        ValueError: where `out` exists and is not empty, the disk is too small, or a weight is beyond float16.
        OSError: where the disk does not take it.
    """
    shard_size, place = _size(max_shard_size), out.resolve()
    folder = router_folder(router, revision, **access)
    config = read_config(folder)
    where, at = (base, None) if base is not None else (config.base.path, config.base.revision)
    if not holds_language(folder):
        raise CheckpointError(
            f"{router} holds no language model of its own, which stage 3 trains: its base {where} is the checkpoint to take"
        )
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"{out} exists and is no empty folder: choose another --out, or empty it")
    if place.is_relative_to(folder.resolve()) or (Path(where).is_dir() and place.is_relative_to(Path(where).resolve())):
        raise ValueError(f"{out} lies inside the router folder or its base: choose a folder beside them")
    described = _described(where, {**access, "revision": at})
    _check_plain(where, described)
    found = check_base(config, where, revision=at, folder=folder, accept=accept_base, download=True, **access).base
    asked: HubSource = {**access, "revision": found.revision}
    tensors = merged_tensors(found.path, folder, getattr(torch, dtype), **asked)
    total = sum(entry.bytes for entry in tensors.entries.values())
    unfinished = place.with_name(f".{place.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    try:
        _check_space(out, shutil.disk_usage(unfinished).free, total)
        _copy_beside(described, unfinished)
        _write_shards(unfinished, tensors.entries, shard_size, lambda done: progress(done, total))
        _write_config(described, unfinished, dtype, tensors.tied)
        (unfinished / "README.md").write_text(_card(found.path, found.sha256), encoding="utf-8")
        lacking = tuple(_lacking(unfinished))
        unfinished.replace(place)
    except OSError as error:
        if error.filename is not None:  # that says it all
            raise
        reason = f"{out} could not be written ({error.strerror}): make room, or choose another --out"
        raise OSError(error.errno, reason) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return Merged(out, len(tensors.entries), tensors.changed, total, lacking)


def _size(text: str) -> int:
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?([KMGT]B)", text.strip(), re.IGNORECASE)
    if found is None or not (size := int(float(found[1]) * _SIZES[found[2].upper()])):
        raise ValueError(f"max_shard_size is {text!r}: write a number and KB, MB, GB or TB, such as 5GB")
    return size


def _described(base: str, asked: HubSource) -> Path:
    """The folder with the base's files beside its weights; of one on the Hub, as far as it is in the cache or reached."""
    check_place(base)
    if Path(base).is_dir():
        return Path(base)
    from huggingface_hub import snapshot_download

    with asking_the_hub(base):
        return Path(snapshot_download(base, allow_patterns=list(BESIDE), **asked))


def _check_plain(base: str, described: Path) -> None:
    if not (described / "config.json").is_file():
        raise CheckpointError(f"{base} holds no config.json: give the folder of a transformers checkpoint, or its id")
    config = read_object(described / "config.json", "fetch it anew")
    parts = [config, *(part for part in config.values() if isinstance(part, dict))]
    quantised = next((part["quantization_config"] for part in parts if part.get("quantization_config")), None)
    if quantised is not None:
        method = quantised.get("quant_method", "") if isinstance(quantised, dict) else ""
        raise CheckpointError(
            f"{base} is quantised{f' ({method})' if method else ''}: nothing can be merged into its weights; train stage 3 over "
            "the checkpoint that it was made from"
        )


def _check_space(out: Path, free: int, total: int) -> None:
    if free < total:
        raise ValueError(
            f"{out} needs {total / 1e9:.1f} GB and {free / 1e9:.1f} GB are free: make room, or choose another --out"
        )


def _copy_beside(described: Path, out: Path) -> None:
    for path in sorted({path for pattern in BESIDE for path in described.glob(pattern)}):
        if path.is_file() and path.name != "config.json" and not path.name.endswith(".index.json"):
            target = out / path.relative_to(described)
            target.parent.mkdir(exist_ok=True)
            shutil.copyfile(path, target)


def _write_shards(out: Path, entries: Mapping[str, Entry], shard_size: int, progress: Callable[[int], None]) -> None:
    """One file, or several of at most `shard_size` bytes (of one tensor where that is larger) and their index."""
    shards, done = list(_shards(entries, shard_size)), 0

    def written(count: int) -> None:
        nonlocal done
        done += count
        progress(done)

    if len(shards) == 1:
        write_tensors(out / WHOLE, entries, {}, written)
        return
    file_of: dict[str, str] = {}
    for number, names in enumerate(shards, 1):
        file = f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        write_tensors(out / file, {name: entries[name] for name in names}, {}, written)
        file_of |= dict.fromkeys(names, file)
    index = {"metadata": {"total_size": sum(entry.bytes for entry in entries.values())}, "weight_map": file_of}
    (out / INDEX).write_text(json.dumps(index, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _shards(entries: Mapping[str, Entry], shard_size: int) -> Iterator[list[str]]:
    names: list[str] = []
    filled = 0
    for name, entry in entries.items():
        if names and filled + entry.bytes > shard_size:
            yield names
            names, filled = [], 0
        names.append(name)
        filled += entry.bytes
    yield names


def _write_config(described: Path, out: Path, dtype: str, tied: bool) -> None:
    """The base's config with what is true now; where it says nothing of dtype or head, transformers and engines guess otherwise."""
    made = _with_dtype(read_object(described / "config.json", "fetch it anew"), dtype)
    if not {"dtype", "torch_dtype"} & made.keys():
        made["torch_dtype"] = dtype
    made["tie_word_embeddings"] = tied
    if isinstance(text := made.get("text_config"), dict):
        made["text_config"] = text | {"tie_word_embeddings": tied}
    (out / "config.json").write_text(json.dumps(made, indent=2) + "\n", encoding="utf-8")


def _with_dtype(content: dict[str, Any], dtype: str) -> dict[str, Any]:
    made = {name: _with_dtype(value, dtype) if isinstance(value, dict) else value for name, value in content.items()}
    return made | {name: dtype for name in ("dtype", "torch_dtype") if name in made}


def _card(base: str, sha256: str) -> str:
    known = could_be_on_the_hub(base) and not Path(base).is_dir()
    front = f"---\nbase_model: {base}\npipeline_tag: video-text-to-text\n---\n" if known else ""
    return f"""{front}# A language model trained with VideoRouter, merged

The base{f" `{base}`" if known else ""} (weights sha256 `{sha256}`) with the language model that stage 3 trained on routed
frames, as one checkpoint of the base's family. The routers are not in it: they stay in the router folder.
"""


def _lacking(folder: Path) -> Iterator[str]:
    if not any((folder / name).is_file() for name in ("preprocessor_config.json", "processor_config.json")):
        yield "preprocessor_config.json"
    tokenizer = folder / "tokenizer_config.json"
    own = tokenizer.is_file() and "chat_template" in read_object(tokenizer, "fetch it anew")
    if not own and not any((folder / f"chat_template.{ending}").is_file() for ending in ("jinja", "json")):
        yield "chat_template.jinja"
