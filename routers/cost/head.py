"""Whether a checkpoint has an output head of its own, as the names of its tensors say: no weight is read (ours).

Published configs leave `tie_word_embeddings` out, and transformers 5 then takes it as true; InternVL3 of 8B and more store a head.
"""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

from videorouter.routers.backbones.loading import check_format, check_place, loading_from
from videorouter.routers.backbones.loading_options import HubSource
from videorouter.routers.backbones.tensor_ranges import TensorRanges
from videorouter.routers.backbones.tying import has_own_head, set_tied
from videorouter.routers.backbones.weight_files import INDEX, WHOLE, weight_files


@dataclass(frozen=True)
class CheckpointConfig:
    """A config that is tied or not as its checkpoint's tensors say, and what to tell where there are none to say it."""

    config: Any
    said: str | None = None


def read_checkpoint(path: str, **source: Unpack[HubSource]) -> CheckpointConfig:
    """The config of the checkpoint folder or Hub id `path`, tied or not by the presence of a head among its tensors.

    A config without weights keeps what it says itself. Raises `ValueError` where there is no checkpoint, for a damaged one, and for
    one in its authors' own format.
    """
    from transformers import AutoConfig, PretrainedConfig

    check_place(path)
    check_format(path, **source)
    with loading_from(path):
        config: Any = AutoConfig.from_pretrained(path, trust_remote_code=False, **source)
        names = tensor_names(path, **source)
        if names is None:
            written, _ = PretrainedConfig.get_config_dict(path, **source)
            return CheckpointConfig(config, _unsure(config, written))
    set_tied(config, not has_own_head(names))
    return CheckpointConfig(config)


def tensor_names(path: str, **source: Unpack[HubSource]) -> Collection[str] | None:
    """Names of the tensors of a checkpoint folder or Hub id, by its index or the header of its single file; None without weights.

    Of a repository on the Hub the header comes from the cache, or as a range of bytes. Raises `ValueError` for damaged files.
    """
    if Path(path).is_dir():
        held = any((Path(path) / name).is_file() for name in (WHOLE, INDEX))
        return weight_files(path, **source).file_of.keys() if held else None
    return _names_on_the_hub(path, source)


def _names_on_the_hub(repository: str, source: HubSource) -> Collection[str] | None:
    import json

    from huggingface_hub import HfApi, hf_hub_download, try_to_load_from_cache
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, OfflineModeIsEnabled

    try:
        index = Path(hf_hub_download(repository, INDEX, **source))
        return json.loads(index.read_bytes())["weight_map"].keys()
    except EntryNotFoundError:
        pass
    revision, token = source.get("revision"), source.get("token")
    cached = try_to_load_from_cache(repository, WHOLE, cache_dir=source.get("cache_dir"), revision=revision)
    if isinstance(cached, str):
        with TensorRanges(Path(cached)) as tensors:
            return tensors.header.keys()
    if source.get("local_files_only"):
        return None
    try:
        return HfApi(token=token).parse_safetensors_file_metadata(repository, WHOLE, revision=revision).tensors.keys()
    except (EntryNotFoundError, OfflineModeIsEnabled, HfHubHTTPError, ConnectionError):
        return None


def _unsure(config: Any, written: dict[str, Any]) -> str:
    tied = bool(getattr(config, "tie_word_embeddings", True))
    told = "tie_word_embeddings" in written or "tie_word_embeddings" in written.get("text_config", {})
    counted = "as one with the embeddings" if tied else "as one of its own"
    if told:
        return f"head: there are no weights beside config.json, which says to count it {counted}"
    return f"head: counted {counted}, transformers' default: there are no weights beside config.json, which says nothing of it"
