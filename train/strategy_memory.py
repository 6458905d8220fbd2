"""What a training holds on every rank before activations, from configs alone: no weight is read or made (ours)."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from jsonargparse import Namespace

from videorouter.routers.backbones.language_weights import LanguageWeights, LoraSettings, adapter_settings
from videorouter.routers.backbones.shadow import ShadowWeights
from videorouter.routers.checkpoints.hub import DESCRIPTION, router_folder
from videorouter.routers.checkpoints.router_folder import read_config
from videorouter.routers.cost.head import read_checkpoint
from videorouter.routers.cost.parameters import meta_model, parameters_by_part
from videorouter.train.continued_language import lora_settings

MASTERS: Final = 12
"""Bytes of a trained parameter's float32 master and two moments."""


@dataclass(frozen=True)
class Memory:
    """Parameters that a rank holds or takes part in, those trained, and the least bytes on each rank."""

    resident: int
    trained: int
    bytes: float


def early_parameters(config: Any, layers: int) -> int:
    """Parameters that stages 1 and 2 load: vision tower, projector, embeddings and the first `layers` decoder layers."""
    parts = parameters_by_part(config)
    text: Any = meta_model(config).model.language_model  # type: ignore[union-attr]
    kept = sum(parameter.numel() for layer in text.layers[:layers] for parameter in layer.parameters())
    return parts["vision"] + parts["projector"] + parts["embeddings"] + kept


def head_parameters(width: int, hidden: int, inputs: int, outputs: int) -> int:
    """Of a two-layer head over `inputs` pooled states of `width`."""
    return (inputs * width + 1) * hidden + (hidden + 1) * outputs


def shadow_parameters(config: Any, layers: int, weights: ShadowWeights) -> int:
    """That a router trains below its head, in the first `layers` layers."""
    if weights.mode != "lora":
        return early_parameters(config, layers) - early_parameters(config, 0) if weights.own else 0
    adapters = LanguageWeights.of(meta_model(config), "lora", LoraSettings(weights.rank)).tensors()
    first = tuple(f".layers.{layer}." for layer in range(layers))
    return sum(tensor.numel() for name, tensor in adapters.items() if any(part in name for part in first))


def described_routers(options: Namespace) -> Path:
    """The router folder that stage 3's options name, or a copy of its description from the Hub, without weights."""
    return router_folder(options.routers, options.get("routers_revision"), DESCRIPTION)


def memory_of(training: Namespace, base: str, ranks: int, revision: str | None = None) -> Memory:
    """Of a parsed `fit` (`training`) on the base model `base`, at `revision`. Raises as `read_checkpoint`."""
    config = read_checkpoint(base, revision=revision).config
    options, width = training.model.init_args, config.get_text_config().hidden_size
    computed = 2 if torch.cuda.is_available() and "bf16" in str(training.trainer.precision) else 4
    if "routers" not in options:
        one = training.model.class_path.endswith("SemanticRouterModule")
        head = head_parameters(width, options.hidden, *((1, 2) if one else (2, 1)))
        early = early_parameters(config, options.shadow_layers)
        below = shadow_parameters(config, options.shadow_layers, ShadowWeights(options.shadow, options.shadow_rank))
        trained = head + below
        return Memory(early + trained, trained, early * computed + trained * (8 + MASTERS))
    folder = described_routers(options)
    router = read_config(folder)
    heads = head_parameters(width, router.hidden, 1, 2) + head_parameters(width, router.hidden, 2, 1)
    whole = sum(parameters_by_part(config).values())
    shadow = early_parameters(config, router.shadow_layers) - early_parameters(config, 0)
    asked = {"rank": options.lora_rank, "alpha": options.lora_alpha, "targets": options.lora_targets}
    held = adapter_settings(folder) if options.language_model == "lora" else None
    language = LanguageWeights.of(meta_model(config), options.language_model, lora_settings(folder, held, asked))
    trained = heads + sum(tensor.numel() for tensor in language.tensors().values())
    return Memory(
        whole + shadow + heads, trained, _held(training.trainer.strategy, whole + shadow, trained, computed, ranks)
    )


def _held(strategy: str, parameters: int, trained: int, computed: int, ranks: int) -> float:
    """ZeRO shares masters and moments (1), gradients (2) and trained parameters (3) among ranks; the frozen rest stays whole."""
    stage = int(strategy[len("deepspeed_")]) if strategy.startswith("deepspeed_") else 0
    if not stage:
        return parameters * computed + trained * (4 + MASTERS)
    offloaded = strategy.endswith("_offload")
    masters = 0.0 if offloaded else trained * MASTERS / ranks
    gradients = trained * computed / (ranks if stage >= 2 else 1)
    weights = (parameters - trained) * computed + trained * computed / (ranks if stage == 3 else 1)
    return math.fsum((masters, gradients, weights))
