"""What a layer that learns keeps for the way back is what autograd keeps, counted by its own hooks."""

from typing import Any

import pytest
import torch
from transformers import Qwen2Config, Qwen2Model

from videorouter.routers.cost.geometry import DecoderGeometry
from videorouter.train.preflight.step_activations import kept_numbers

TOKENS = 300


def kept_by_autograd(geometry: DecoderGeometry, layers: int, dtype: torch.dtype, checkpointing: bool) -> float:
    """Bytes of states, weights left out, that a forward pass keeps."""
    config = Qwen2Config(
        hidden_size=geometry.width,
        num_attention_heads=geometry.heads,
        num_key_value_heads=geometry.key_heads,
        intermediate_size=geometry.intermediate,
        num_hidden_layers=layers,
        vocab_size=64,
    )
    model: Any = Qwen2Model(config).train()
    model.to(dtype)
    if checkpointing:
        model.activation_checkpointing_enable(activation_checkpointing_kwargs={"use_reentrant": False})
    weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    kept: dict[int, tuple[int, torch.Tensor]] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes(), tensor  # held, so that no other takes its address
        return tensor

    states = torch.randn(1, TOKENS, geometry.width, dtype=dtype, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        model(inputs_embeds=states, use_cache=False)
    return sum(count for count, _ in kept.values())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("width", "key_heads", "intermediate"), [(256, 2, 512), (256, 8, 1024), (512, 2, 512)])
def test_a_layer_keeps_what_the_formula_says(width: int, key_heads: int, intermediate: int, dtype: torch.dtype) -> None:
    geometry = DecoderGeometry(2, width, 8, key_heads, width // 8, intermediate, 64)
    two, three = (kept_by_autograd(geometry, layers, dtype, checkpointing=False) for layers in (2, 3))
    counted = (three - two) / TOKENS / dtype.itemsize
    assert kept_numbers(geometry, dtype.itemsize) == pytest.approx(counted, rel=0.01)
    two, three = (kept_by_autograd(geometry, layers, dtype, checkpointing=True) for layers in (2, 3))
    assert (three - two) / TOKENS / dtype.itemsize == pytest.approx(width, rel=0.01)
