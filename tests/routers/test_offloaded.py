"""What stage 3 trained is put where a device map keeps the base's weights: in main memory, on disk."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.hooks import attach_align_device_hook
from accelerate.utils import OffloadedWeightsLoader

from tests.routers.trained_language import published, with_language
from videorouter.routers.backbones.language_weights import apply_language
from videorouter.routers.backbones.loading import load_backbone
from videorouter.routers.checkpoints.base_identity import weights_hash

IDS = torch.arange(9)[None]


@torch.no_grad()
def logits(model: Any) -> torch.Tensor:
    return model(input_ids=IDS).logits


@pytest.mark.parametrize("mode", ["lora", "full"])
def test_a_trained_language_model_is_the_same_over_memory_and_disk(tmp_path: Path, mode: str) -> None:
    base = published(tmp_path / "base")
    router, before = with_language(tmp_path / "router", base, mode), weights_hash(base)
    whole, spread = (
        load_backbone(str(base)),
        load_backbone(str(base), device_map=places(), offload_folder=str(tmp_path / "off")),
    )
    for backbone in (whole, spread):
        backbone.use_language_of(router)
    models: list[Any] = [backbone.model for backbone in (whole, spread)]  # type: ignore[attr-defined]
    assert any(parameter.is_meta for parameter in models[1].parameters())
    torch.testing.assert_close(logits(models[1]), logits(models[0]), atol=1e-5, rtol=1e-5)
    assert weights_hash(base) == before


@pytest.mark.parametrize("mode", ["lora", "full"])
def test_it_is_the_same_where_a_gpu_borrows_weights_from_main_memory(tmp_path: Path, mode: str) -> None:
    base = published(tmp_path / "base")
    router, whole, borrowing = (
        with_language(tmp_path / "router", base, mode),
        load_backbone(str(base)),
        load_backbone(str(base)),
    )
    whole.use_language_of(router)
    model: Any = borrowing.model  # type: ignore[attr-defined]
    kept = OffloadedWeightsLoader({name: value.clone() for name, value in model.state_dict().items()})
    attach_align_device_hook(model, execution_device=torch.device("cpu"), offload=True, weights_map=kept)
    model = apply_language(router, model)
    assert all(parameter.is_meta for parameter in model.parameters())
    torch.testing.assert_close(logits(model), logits(whole.model), atol=1e-5, rtol=1e-5)  # type: ignore[attr-defined]


def test_a_change_on_disk_without_a_place_to_keep_it_is_refused(tmp_path: Path) -> None:
    base = published(tmp_path / "base")
    router = with_language(tmp_path / "router", base, "full")
    spread: Any = load_backbone(str(base), device_map=places(), offload_folder=str(tmp_path / "off"))
    layer = spread.model.model.language_model.layers[2].self_attn.q_proj
    layer._hf_hook.weights_map.dataset.save_folder = None
    shutil.rmtree(tmp_path / "off", ignore_errors=True)
    with pytest.raises(ValueError, match="say with offload_folder where to keep it"):
        spread.use_language_of(router)


def places() -> dict[str, Any]:
    parts = [
        "vision_tower",
        "multi_modal_projector",
        *(f"language_model.{part}" for part in ("embed_tokens", "norm", "rotary_emb")),
    ]
    on_cpu = [*parts, "language_model.layers.0", "language_model.layers.1"]
    on_disk = ["language_model.layers.2", "language_model.layers.3"]
    return (
        {f"model.{name}": "cpu" for name in on_cpu} | {f"model.{name}": "disk" for name in on_disk} | {"lm_head": "cpu"}
    )
