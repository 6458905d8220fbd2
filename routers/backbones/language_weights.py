"""What stage 3 trains of the language model: adapters beside its matrices, or all of its layers; saved without the base (ours)."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from videorouter.json_files import read_object
from videorouter.routers.backbones.loading import loading_from
from videorouter.routers.backbones.offloaded import parameter_value, replace_parameter
from videorouter.routers.backbones.saved_tensors import FORMAT, save_tensors
from videorouter.routers.backbones.tensor_ranges import TensorRanges
from videorouter.routers.backbones.tying import untie

Mode = Literal["lora", "full"]
LORA_TARGETS: Final = r".*language_model\.layers\.\d+\.(self_attn|mlp)\.(q|k|v|o|gate|up|down)_proj"
"""Every matrix of the decoder, by its name in the whole model (peft takes a regular expression)."""
ADAPTER, WHOLE = "adapter", "language_model"
ADAPTER_CONFIG, ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
HEAD: Final = "lm_head.weight"
_SHARD: Final = 5_000_000_000
_PREFIX, _DOWN, _UP = "base_model.model.", ".lora_A.weight", ".lora_B.weight"
_OTHER_ADAPTERS: Final = (
    "use_dora",
    "use_rslora",
    "rank_pattern",
    "alpha_pattern",
    "fan_in_fan_out",
    "modules_to_save",
)


@dataclass(frozen=True)
class LoraSettings:
    """Of adapters: `rank`, `alpha` (their product is divided by the first and multiplied by the second), the matrices beside which
    they are put (a regular expression over whole names), and the share of their input that is dropped while they learn."""

    rank: int = 16
    alpha: int = 32
    targets: str = LORA_TARGETS
    dropout: float = 0.0

    def __post_init__(self) -> None:
        """Raises `ValueError` for values that mean nothing."""
        if self.rank < 1 or self.alpha < 1 or not 0 <= self.dropout < 1:
            raise ValueError(
                f"LoRA of rank {self.rank}, alpha {self.alpha} and dropout {self.dropout}: give a rank and an alpha of 1 or more "
                "and a dropout of at least 0 and below 1"
            )
        try:
            re.compile(self.targets)
        except re.error as error:
            raise ValueError(f"LoRA targets {self.targets!r} are no regular expression: {error}") from error

    def peft(self) -> dict[str, Any]:
        """As peft's LoraConfig takes them."""
        return {
            "r": self.rank,
            "lora_alpha": self.alpha,
            "target_modules": self.targets,
            "lora_dropout": self.dropout,
            "bias": "none",
        }


@dataclass(frozen=True)
class LanguageWeights:
    """The trained part of the language model of `model`, an `...ForConditionalGeneration` class.

    `mode` "lora": a standard peft adapter; "full": layers, final norm and, where it is not tied to the embeddings, the head.
    """

    model: Any
    mode: Mode
    lora: LoraSettings = LoraSettings()

    @classmethod
    def of(cls, model: Any, mode: Mode, lora: LoraSettings | None = None) -> "LanguageWeights":
        """Make the part trainable, all else frozen; adapters are put in, zero at first.

        Raises `ValueError` for targets that name no matrix of the language model, or one of another part.
        """
        model.requires_grad_(False)
        weights = cls(model, mode, lora or LoraSettings())
        if mode == "lora":
            from peft import LoraConfig, inject_adapter_in_model

            _check_targets(model, weights.lora.targets)
            inject_adapter_in_model(LoraConfig(**weights.lora.peft()), model)
        for tensor in weights.tensors().values():
            tensor.requires_grad_(True)
        return weights

    def tensors(self) -> dict[str, nn.Parameter]:
        """The trained parameters by their names in the whole model, without peft's own parts of names."""
        named = dict(self.model.named_parameters())
        if self.mode == "lora":
            return {name.replace(".default.", "."): value for name, value in named.items() if ".lora_" in name}
        parts = (".language_model.layers.", ".language_model.norm.", ".lm_head.")  # a tied head has no name of its own
        return {name: value for name, value in named.items() if any(part in f".{name}" for part in parts)}

    def drop(self, learning: bool) -> None:
        """Let adapters drop some of their input, as they do while they learn and at no other time."""
        for name, module in self.model.named_modules():
            if ".lora_dropout." in name:
                module.train(learning)

    def record(self) -> dict[str, Any]:
        """What `write_language` must know."""
        return {"mode": self.mode, "lora": self.lora.peft() if self.mode == "lora" else None}


def _check_targets(model: Any, targets: str) -> None:
    named = [name for name, module in model.named_modules() if re.fullmatch(targets, name)]
    outside = [name for name in named if not re.fullmatch(LORA_TARGETS, name)]
    if outside or not named:
        told = (
            f"name {outside[0]}, which is no matrix of a decoder layer" if outside else "name no module of this model"
        )
        raise ValueError(f"LoRA targets {targets!r} {told}: give a regular expression such as {LORA_TARGETS!r}")


def write_language(
    folder: Path,
    record: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    base: str,
    dtype: torch.dtype | None = None,
) -> None:
    """Write trained language weights into a router folder: `adapter/` as peft does, or `language_model/` in shards.

    They are written in `dtype`, as they are where it is None.
    """
    tensors = tensors if dtype is None else {name: tensor.to(dtype) for name, tensor in tensors.items()}
    if record["mode"] == "lora":
        from peft import LoraConfig

        target = folder / ADAPTER
        target.mkdir(parents=True, exist_ok=True)
        config = LoraConfig(**record["lora"])
        config.base_model_name_or_path = base
        config.inference_mode = True
        config.save_pretrained(str(target))
        save_tensors({f"{_PREFIX}{name}": tensor for name, tensor in tensors.items()}, target / ADAPTER_WEIGHTS, FORMAT)
        return
    from huggingface_hub import split_torch_state_dict_into_shards

    target = folder / WHOLE
    target.mkdir(parents=True, exist_ok=True)
    split = split_torch_state_dict_into_shards(dict(tensors), max_shard_size=_SHARD)
    for file, names in split.filename_to_tensors.items():
        save_tensors({name: tensors[name] for name in names}, target / file, FORMAT)
    if split.is_sharded:
        index = {"metadata": split.metadata, "weight_map": split.tensor_to_filename}
        (target / "model.safetensors.index.json").write_text(json.dumps(index, indent=1), encoding="utf-8")


def adapter_settings(folder: Path) -> LoraSettings | None:
    """Of the adapter that a router folder holds; None where it holds none. Raises as `language_changes`."""
    if not (folder / ADAPTER).is_dir():
        return None
    held = read_object(folder / ADAPTER / ADAPTER_CONFIG, "export again")
    return LoraSettings(held["r"], held["lora_alpha"], held["target_modules"], held.get("lora_dropout", 0.0))


def adapter_tensors(folder: Path) -> dict[str, Tensor]:
    """The adapter of a router folder by the names of `LanguageWeights.tensors`."""
    held = load_file(folder / ADAPTER / ADAPTER_WEIGHTS)
    return {name.removeprefix(_PREFIX): tensor for name, tensor in held.items()}


def whole_tensors(folder: Path) -> dict[str, Tensor]:
    """The whole language model of a router folder by the names of `LanguageWeights.tensors`."""
    files = sorted((folder / WHOLE).glob("*.safetensors"))
    return {name: tensor for file in files for name, tensor in load_file(file).items()}


def with_adapter(folder: Path, record: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The language model that a router folder holds whole, with an adapter trained over it (ours): two layers become one.

    `record` and `tensors` are the adapter's, as in `write_language`. Values are added in float32.
    """
    scale = record["lora"]["lora_alpha"] / record["lora"]["r"]
    changes, whole = _low_rank_changes(tensors, scale), whole_tensors(folder)
    return whole | {name: change.applied(partial(whole.__getitem__, name)) for name, change in changes.items()}


def holds_language(folder: Path) -> bool:
    """Whether a router folder holds weights for the language model."""
    return (folder / ADAPTER).is_dir() or (folder / WHOLE).is_dir()


def apply_language(folder: Path, model: Any) -> Any:
    """The base `model` with what a router folder holds for its language model; the same where it holds nothing.

    Adapters are merged into the weights. Raises `ValueError` for names or shapes that do not fit the base, and where some of
    what was trained is missing: peft warns and goes on with the base's own.
    """
    if not holds_language(folder):
        return model
    changes = language_changes(folder)
    check_complete(folder, model, changes)
    if (folder / ADAPTER).is_dir() and not any(parameter.is_meta for parameter in model.parameters()):
        from peft import PeftModel

        with loading_from(str(folder / ADAPTER)):
            return PeftModel.from_pretrained(model, str(folder / ADAPTER)).merge_and_unload()
    if HEAD in changes:
        untie(model)
    named = dict(model.named_parameters())
    for name, change in changes.items():
        if name not in named or named[name].shape != change.shape:
            raise ValueError(f"{folder} holds {name} {change.shape}, which the base has no place for")
        replace_parameter(model, name, change.applied(partial(parameter_value, model, name)))
    return model


@dataclass(frozen=True)
class Change:
    """What is done to one parameter of a base: `applied` makes the new value; it asks for the old one where it needs it."""

    shape: tuple[int, ...]
    applied: Callable[[Callable[[], Tensor]], Tensor]


def check_complete(folder: Path, model: Any, changes: Mapping[str, Change]) -> None:
    """Raise `ValueError` where `changes`, of a router folder, leave out some of what stage 3 trains of `model`, on any device."""
    if (folder / ADAPTER).is_dir():
        rule = read_object(folder / ADAPTER / ADAPTER_CONFIG, "export again")["target_modules"]
        trained = {f"{name}.weight" for name, _ in model.named_modules() if re.fullmatch(rule, name)}
    else:
        parts = (".language_model.layers.", ".language_model.norm.")
        trained = {name for name, _ in model.named_parameters() if any(part in name for part in parts)}
    lacking = sorted(trained - changes.keys())
    if lacking:
        raise ValueError(
            f"{folder} lacks {len(lacking)} of {len(trained)} tensors that its training made, the first for {lacking[0]}: export "
            "again, or fetch it anew"
        )


def language_changes(folder: Path) -> dict[str, Change]:
    """The changes that a router folder makes to its base, by parameter, as `apply_language` makes them.

    Of `language_model/` only headers are read here. Raises `ValueError` for damaged files, and an adapter of another kind than
    stage 3 writes.
    """
    if (folder / ADAPTER).is_dir():
        with loading_from(str(folder / ADAPTER)):
            return _adapter_changes(folder / ADAPTER)
    found: dict[str, Change] = {}
    for file in sorted((folder / WHOLE).glob("*.safetensors")):
        with TensorRanges(file) as ranges:
            found |= {name: _whole_change(file, name, entry["shape"]) for name, entry in ranges.header.items()}
    return found


def _whole_change(file: Path, name: str, shape: Sequence[int]) -> Change:
    def applied(old: Callable[[], Tensor]) -> Tensor:
        with TensorRanges(file) as ranges:
            ((_, value),) = ranges.read([name])
        return value

    return Change(tuple(shape), applied)


def _adapter_changes(folder: Path) -> dict[str, Change]:
    config = read_object(folder / ADAPTER_CONFIG, "export again")
    odd = [name for name in _OTHER_ADAPTERS if config.get(name)]
    if odd or config.get("peft_type") != "LORA" or config.get("bias", "none") != "none":
        raise ValueError(f"{folder} is no adapter as stage 3 writes it ({', '.join(odd) or 'peft_type or bias'})")
    held = load_file(folder / ADAPTER_WEIGHTS)
    halves = {name.removesuffix(_DOWN).removesuffix(_UP) for name in held}
    if odd := sorted(module for module in halves if not {f"{module}{_DOWN}", f"{module}{_UP}"} <= held.keys()):
        raise ValueError(f"{folder} holds half of the adapter of {odd[0]}: export again, or fetch it anew")
    named = {name.removeprefix(_PREFIX): tensor for name, tensor in held.items()}
    return _low_rank_changes(named, config["lora_alpha"] / config["r"])


def _low_rank_changes(tensors: Mapping[str, Tensor], scale: float) -> dict[str, Change]:
    """By parameter, of adapter tensors by the names of `LanguageWeights.tensors`."""
    return {
        f"{module}.weight": _low_rank_change(down, tensors[f"{module}{_UP}"], scale)
        for name, down in tensors.items()
        if name.endswith(_DOWN) and (module := name.removesuffix(_DOWN))
    }


def _low_rank_change(down: Tensor, up: Tensor, scale: float) -> Change:
    """`down` `[r, in]`, `up` `[out, r]`; added in float32."""
    return Change((len(up), down.shape[1]), lambda old: old().float() + scale * (up.float() @ down.float()))
