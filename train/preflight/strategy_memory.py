"""What a training holds on every rank, by what holds it, from configs alone: no weight is read or made (ours)."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import torch
from jsonargparse import Namespace

from videorouter.routers.backbones.language_weights import LanguageWeights, LoraSettings, adapter_settings
from videorouter.routers.backbones.loading import stored_dtype
from videorouter.routers.backbones.shadow import ShadowWeights
from videorouter.routers.checkpoints.router_folder import read_config
from videorouter.routers.cost.head import read_checkpoint
from videorouter.routers.cost.parameters import meta_model, parameters_by_part
from videorouter.train.checkpoints.continued_language import lora_settings
from videorouter.train.preflight.step_cost import described_routers, stage_of, step_of

MASTERS: Final = 12
"""Bytes of a trained parameter's float32 master and two moments: what its checkpoint takes."""
BUCKET: Final = 200_000_000
"""Gradients that ZeRO under Lightning reduces at a time; a second bucket fills meanwhile."""


@dataclass(frozen=True)
class Memory:
    """Parameters that a rank holds or takes part in, those trained, and bytes on each rank by what holds them.

    `parts` are `weights`, `gradients`, `masters and moments`, `buckets` and, for a base with formulas, `activations`.
    """

    resident: int
    trained: int
    parts: Mapping[str, float]

    @property
    def bytes(self) -> float:
        """Of all parts."""
        return math.fsum(self.parts.values())

    @property
    def checkpoint(self) -> int:
        """Bytes of one checkpoint."""
        return self.trained * MASTERS


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


def memory_of(
    asked: Namespace, base: str, ranks: int, revision: str | None = None, *, gpu: bool | None = None
) -> Memory:
    """Of a parsed `fit` on the base model `base`, at `revision`, on GPUs where `gpu` says so, or none says and one is here.

    Raises as `read_checkpoint`.
    """
    config = read_checkpoint(base, revision=revision).config
    options, width = asked.model.init_args, config.get_text_config().hidden_size
    on_gpu = asked.trainer.accelerator in ("gpu", "cuda") or torch.cuda.is_available() if gpu is None else gpu
    number = (stored_dtype(config) or torch.float32).itemsize if on_gpu else 4
    mixed = 2 if "bf16" in str(asked.trainer.precision) else 4
    step = step_of(asked, config)
    if "routers" not in options:
        images = stage_of(asked) == 1
        head = head_parameters(width, options.hidden, *((2, 1) if images else (1, 2)))
        early = early_parameters(config, options.shadow_layers)
        below = shadow_parameters(config, options.shadow_layers, ShadowWeights(options.shadow, options.shadow_rank))
        trained, resident = head + below, early + head + below
        activations = None if step is None else step.of_router(number, images=images, learning=bool(below))
    else:
        folder = described_routers(options)
        router = read_config(folder)
        heads = head_parameters(width, router.hidden, 1, 2) + head_parameters(width, router.hidden, 2, 1)
        shadow = early_parameters(config, router.shadow_layers) - early_parameters(config, 0)
        given = {"rank": options.lora_rank, "alpha": options.lora_alpha, "targets": options.lora_targets}
        held = adapter_settings(folder) if options.language_model == "lora" else None
        language = LanguageWeights.of(meta_model(config), options.language_model, lora_settings(folder, held, given))
        tensors = language.tensors().values()
        trained = heads + sum(tensor.numel() for tensor in tensors)
        adapters = trained - heads if options.language_model == "lora" else 0
        resident = sum(parameters_by_part(config).values()) + adapters + shadow + heads
        activations = None if step is None else step.of_answers(mixed, options.gradient_checkpointing)
    parts = _held(asked.trainer.strategy, resident - trained, trained, number, mixed, ranks)
    return Memory(resident, trained, parts if activations is None else parts | {"activations": activations})


def _held(strategy: str, frozen: int, trained: int, number: int, mixed: int, ranks: int) -> dict[str, float]:
    """By part. ZeRO shares masters and moments (1), gradients (2) and trained parameters (3) among ranks; what is frozen
    stays whole, and an optimizer that is offloaded lies in host memory.

    Without ZeRO masters are the weights, gradients lie in DDP's buckets once more, and autocast keeps a copy that computes.
    """
    stage = int(strategy[len("deepspeed_")]) if strategy.startswith("deepspeed_") else 0
    if not stage:
        copied = trained * mixed if mixed < 4 else 0
        return {
            "weights": frozen * number + copied,
            "gradients": trained * 4,
            "masters and moments": trained * MASTERS,
            "buckets": trained * 4 if ranks > 1 else 0,
        }
    return {
        "weights": frozen * number + trained * mixed / (ranks if stage == 3 else 1),
        "gradients": trained * mixed / (ranks if stage >= 2 else 1) + trained * 4 / ranks,
        "masters and moments": 0.0 if strategy.endswith("_offload") else trained * MASTERS / ranks,
        "buckets": (1 if stage == 3 else 2) * BUCKET * mixed,
    }
