"""A tiny base as it is published, and router folders over it with a language model of their own."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from tests.routers.tiny_backbones import write_tiny
from videorouter.miniature.pretraining.model import write_untrained_router
from videorouter.routers.backbones.language_weights import LanguageWeights, LoraSettings, write_language
from videorouter.routers.backbones.loading import load_backbone

BESIDE = {
    "preprocessor_config.json": '{"image_processor_type": "GotOcr2ImageProcessorFast"}',
    "additional_chat_templates/tools.jinja": "{{ messages }}",
    "LICENSE": "MIT",
    "pytorch_model.bin": "left where it is",
}


def published(folder: Path, family: str = "internvl", tower: str = "qwen2", *, tied: bool = False) -> Path:
    """A tiny bfloat16 checkpoint as it lies on the Hub: three shards and an index, no word on tying, processor files."""
    write_tiny(folder, family, tower)
    tensors = {name: value.bfloat16() for name, value in load_file(folder / "model.safetensors").items()}
    if tied:
        del tensors[next(name for name in tensors if name.endswith("lm_head.weight"))]
    (folder / "model.safetensors").unlink()
    names = sorted(tensors)
    file_of = {
        name: f"model-{3 * number // len(names) + 1:05d}-of-00003.safetensors" for number, name in enumerate(names)
    }
    for file in set(file_of.values()):
        save_file({name: tensors[name] for name in names if file_of[name] == file}, folder / file, {"format": "pt"})
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": file_of}))
    config = json.loads((folder / "config.json").read_text())
    for part in (config, config["text_config"]):
        part.pop("tie_word_embeddings", None)
        part.pop("dtype", None)
    config["torch_dtype"] = "bfloat16"
    (folder / "config.json").write_text(json.dumps(config))
    for name, text in BESIDE.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    return folder


def with_language(folder: Path, base: Path, mode: Any) -> Path:
    """A router folder over `base` whose language model is another one, as far from it as a training leads."""
    write_untrained_router(folder, base)
    backbone: Any = load_backbone(str(base))
    weights = LanguageWeights.of(backbone.model, mode, LoraSettings(rank=4))
    torch.manual_seed(1)
    trained = {
        name: value.detach() + 0.2 * torch.randn_like(value) * value[0].numel() ** -0.5
        for name, value in weights.tensors().items()
    }
    write_language(folder, weights.record(), trained, str(base))
    return folder
