"""The part of a checkpoint's config.json that can change an answer (ours)."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

HARMLESS: Final = {
    "_attn_implementation", "_attn_implementation_autoset", "_commit_hash", "_name_or_path", "architectures",
    "attention_dropout", "attn_implementation", "auto_map", "dropout", "embd_pdrop", "experts_implementation",
    "gradient_checkpointing", "hidden_dropout_prob", "id2label", "initializer_factor", "initializer_range", "label2id",
    "num_labels", "output_attentions", "output_hidden_states", "problem_type", "projection_dropout", "resid_pdrop",
    "return_dict", "tie_word_embeddings", "torchscript", "transformers_version", "use_cache", "use_return_dict",
}  # fmt: skip
"""Keys, at any depth, that say who wrote a file, how to train, or what to return. Whether the head is tied the tensors tell."""
DTYPE: Final = ("torch_dtype", "dtype")
"""Two names of one entry, which counts only where both configs have it: where it is left out it is the tensors' own."""


def unlike_keys(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    """The keys, dotted, by which two contents of config.json differ; what one leaves out has the default of its family.

    Both are read by the transformers that is installed, so that an old spelling and a new one (`rope_scaling`,
    `rope_parameters`) are the same. A family that it does not know is compared as it is written.
    """
    read: list[Mapping[str, Any] | None] = [_as_its_family_reads_it(config) for config in (first, second)]
    if None in read:
        read = [first, second]
    one, other = (dict(_entries(config or {})) for config in read)
    unlike = {key for key in one.keys() | other.keys() if one.get(key) != other.get(key)}
    return sorted(key for key in unlike if not (_is_dtype(key) and (_null(one, key) or _null(other, key))))


def _as_its_family_reads_it(config: Mapping[str, Any]) -> dict[str, Any] | None:
    from transformers import CONFIG_MAPPING

    try:
        read: dict[str, Any] = CONFIG_MAPPING[config["model_type"]].from_dict(dict(config)).to_dict()
    except Exception:  # unknown families, and whatever a family's class says to values it does not take
        return None
    return read


def _entries(config: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    for key, value in config.items():
        if key in HARMLESS:
            continue
        name = f"{above}{'dtype' if key in DTYPE else key}"
        if isinstance(value, Mapping) and value:
            yield from _entries({str(inner): held for inner, held in value.items()}, f"{name}.")
        else:
            yield name, json.dumps(value, sort_keys=True, default=str).removeprefix('"torch.').strip('"')


def _is_dtype(key: str) -> bool:
    return key.rpartition(".")[2] == "dtype"


def _null(entries: Mapping[str, str], key: str) -> bool:
    return entries.get(key, "null") == "null"
