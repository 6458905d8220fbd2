"""The memory formula gives what tensors really hold at their peak, watched operation by operation on a CPU."""

import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter
from transformers import (
    DynamicCache,
    InternVLConfig,
    InternVLForConditionalGeneration,
    LlavaOnevisionConfig,
    LlavaOnevisionForConditionalGeneration,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
)

from videorouter.routers.backbones.shadow import ShadowStack
from videorouter.routers.cost.estimate import estimate
from videorouter.routers.cost.families import geometry_of
from videorouter.routers.cost.memory import prefill_activations, routing_activations, vision_activations
from videorouter.routers.cost.workload import Workload
from videorouter.routers.routing.allocation import Scales
from videorouter.routers.routing.routers import ImageRouter


class LiveBytes(TorchDispatchMode):
    """`peak` bytes of all storages that operations made and that were alive at once."""

    def __init__(self) -> None:
        super().__init__()
        self.live = self.peak = 0
        self.seen: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        given = {leaf.untyped_storage()._cdata for leaf in tree_iter(args) if isinstance(leaf, torch.Tensor)}
        for leaf in tree_iter(out):
            if isinstance(leaf, torch.Tensor):
                self._watch(leaf.untyped_storage(), given)
        return out

    def _watch(self, storage: torch.UntypedStorage, given: set[int]) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in given or key in self.seen:
            return
        self.seen.add(key)
        self.live += size
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self._gone, key, size)

    def _gone(self, key: int, size: int) -> None:
        self.seen.discard(key)
        self.live -= size


@pytest.fixture(scope="module")
def model() -> InternVLForConditionalGeneration:
    """The proportions of InternVL3-8B, narrower and with fewer layers."""
    config = InternVLConfig(
        vision_config={
            "hidden_size": 128, "intermediate_size": 512, "num_hidden_layers": 3, "num_attention_heads": 4,
            "image_size": [224, 224],
        },
        text_config={
            "model_type": "qwen2", "hidden_size": 224, "intermediate_size": 1184, "num_hidden_layers": 4,
            "num_attention_heads": 7, "num_key_value_heads": 1, "vocab_size": 512,
        },
        tie_word_embeddings=False,
    )  # fmt: skip
    return InternVLForConditionalGeneration(config).eval()


@torch.no_grad()
def test_the_vision_tower_holds_what_the_formula_says(model: InternVLForConditionalGeneration) -> None:
    with LiveBytes() as watch:
        pixels = torch.zeros(8, 3, 224, 224)
        model.get_image_features(pixel_values=pixels)
    assert 4 * vision_activations(geometry_of(model.config), 8) == pytest.approx(watch.peak, rel=0.15)


@torch.no_grad()
@pytest.mark.parametrize("tokens", [500, 2000])
def test_a_prefill_holds_what_the_formula_says(model: InternVLForConditionalGeneration, tokens: int) -> None:
    with LiveBytes() as watch:
        prompt = torch.zeros(1, tokens, 224)
        cache = DynamicCache(config=model.config.get_text_config())
        model(inputs_embeds=prompt, past_key_values=cache, use_cache=True, logits_to_keep=1)
    decoder = geometry_of(model.config).decoder
    assert 4 * prefill_activations(decoder, tokens) == pytest.approx(watch.peak, rel=0.15)


@torch.no_grad()
@pytest.mark.parametrize("per_frame", [64, 16])
def test_routing_holds_what_the_formula_says(model: InternVLForConditionalGeneration, per_frame: int) -> None:
    geometry, work = geometry_of(model.config), Workload(frames=100, router_pool=64 // per_frame)
    router = ImageRouter(ShadowStack(model.model.language_model, 4), 224).eval()
    with LiveBytes() as watch:
        router.features(torch.zeros(100, per_frame, 224), [torch.zeros(1, 224)])
    video = 100 * per_frame * 224
    assert geometry.vision.tokens == 64
    assert 4 * (routing_activations(geometry, work) + video) == pytest.approx(watch.peak, rel=0.15)


ROPE = {"rope_type": "default", "rope_theta": 10_000.0, "mrope_section": [2, 3, 3]}
NARROW = {
    "hidden_size": 224, "intermediate_size": 1184, "num_hidden_layers": 2, "num_attention_heads": 7,
    "num_key_value_heads": 1, "vocab_size": 512, "head_dim": 32,
}  # fmt: skip
QWEN = {"depth": 4, "hidden_size": 256, "num_heads": 16, "out_hidden_size": 224}
IDS: dict[str, Any] = {"image_token_id": 1, "video_token_id": 2, "vision_start_token_id": 3, "vision_end_token_id": 4}


def qwen2_5() -> Qwen2_5_VLForConditionalGeneration:
    """The proportions of Qwen2.5-VL-7B's tower."""
    vision = {**QWEN, "intermediate_size": 684, "window_size": 112, "fullatt_block_indexes": [1, 3]}
    text = {**NARROW, "rope_parameters": ROPE}
    return Qwen2_5_VLForConditionalGeneration(Qwen2_5_VLConfig(text_config=text, vision_config=vision, **IDS))


def qwen3() -> Qwen3VLForConditionalGeneration:
    """The proportions of Qwen3-VL-8B's tower."""
    deepstack = {"num_position_embeddings": 2304, "deepstack_visual_indexes": [0, 1, 2]}
    vision = {**QWEN, "intermediate_size": 956, **deepstack}
    text = {**NARROW, "rope_parameters": ROPE | {"mrope_interleaved": True}}
    return Qwen3VLForConditionalGeneration(Qwen3VLConfig(text_config=text, vision_config=vision, **IDS))


@torch.no_grad()
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("make", [qwen2_5, qwen3])
def test_a_qwen_tower_holds_what_the_formula_says(make: Callable[[], Any], dtype: torch.dtype) -> None:
    model = make().eval().to(dtype)
    geometry = geometry_of(model.config)
    rows, columns = (2 * side for side in geometry.vision.grid)
    with LiveBytes() as watch:
        pixels = torch.zeros(4 * rows * columns, geometry.vision.patch_values, dtype=dtype)
        model.get_video_features(pixels, video_grid_thw=torch.tensor([[4, rows, columns]]))
    told = dtype.itemsize * vision_activations(geometry, 4, dtype.itemsize)
    assert told == pytest.approx(watch.peak, rel=0.15)


@torch.no_grad()
@pytest.mark.parametrize("newlines", ["video", "grid"])
def test_a_llava_tower_holds_what_the_formula_says(newlines: str) -> None:
    vision = {
        "model_type": "siglip_vision_model", "hidden_size": 128, "num_hidden_layers": 12, "num_attention_heads": 4,
        "intermediate_size": 478, "image_size": 98, "patch_size": 14, "vision_use_head": False,
    }  # fmt: skip
    config = LlavaOnevisionConfig(text_config={"model_type": "qwen2", **NARROW}, vision_config=vision)
    model: Any = LlavaOnevisionForConditionalGeneration(config).eval()
    with LiveBytes() as watch:
        pixels = torch.zeros(8, 3, 98, 98)
        if newlines == "video":
            model.get_video_features(pixels[None])
        else:
            states = model.model.vision_tower(pixels, output_hidden_states=True).hidden_states
            model.model.multi_modal_projector(states[-1])
    told = 4 * vision_activations(geometry_of(config, newlines=newlines), 8)
    assert told == pytest.approx(watch.peak, rel=0.15)


@torch.no_grad()
@pytest.mark.parametrize(
    "text",
    [
        {"model_type": "qwen3_moe", "num_experts": 16, "num_experts_per_tok": 8, "moe_intermediate_size": 84},
        {"model_type": "gpt_oss", "num_local_experts": 8, "num_experts_per_tok": 4, "intermediate_size": 224},
    ],
    ids=["qwen3_moe", "gpt_oss"],
)
def test_a_prefill_through_experts_holds_what_the_formula_says(text: dict[str, Any]) -> None:
    """As transformers computes them by default: products grouped by expert, and GPT-OSS's attention with squares of scores."""
    config = InternVLConfig(text_config={**NARROW, **text}, vision_config={"num_hidden_layers": 1})
    model: Any = InternVLForConditionalGeneration(config).eval()
    with LiveBytes() as watch:
        prompt = torch.zeros(1, 500, 224)
        model(inputs_embeds=prompt, past_key_values=DynamicCache(), use_cache=True, logits_to_keep=1)
    assert 4 * prefill_activations(geometry_of(config).decoder, 500) == pytest.approx(watch.peak, rel=0.15)


def internvl(**text: int) -> InternVLConfig:
    """True InternVL3 with a text model of these sizes, bfloat16."""
    return InternVLConfig(
        text_config={"model_type": "qwen2", "vocab_size": 151_674, **text},
        vision_config={"attention_bias": True},
        tie_word_embeddings=False,
        dtype="bfloat16",
    )


def test_videorouter_holds_less_than_dense_at_8b_geometry() -> None:
    """The paper's two main configurations, bfloat16, 64 frames."""
    config = internvl(
        hidden_size=3584, num_hidden_layers=28, num_attention_heads=28, num_key_value_heads=4, intermediate_size=18_944
    )
    for scales in (Scales(2, 1, 4), Scales(4, 1, 8)):
        systems = estimate(config, Workload(scales=scales)).systems
        held = {name: system.memory.total / 1e9 for name, system in systems.items()}
        assert held["videorouter"] < held["dense"]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@torch.no_grad()
def test_a_gpu_run_at_1b_geometry_peaks_where_the_estimate_says() -> None:
    """As an answer goes, with random weights: frames in chunks, all tokens kept, embedded among words, prefilled."""
    config = internvl(
        hidden_size=896, num_hidden_layers=24, num_attention_heads=14, num_key_value_heads=2, intermediate_size=4864
    )
    cost = estimate(config)
    dense, work = cost.systems["dense"], cost.workload
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    with torch.device("cuda"):
        model = InternVLForConditionalGeneration(config).to(torch.bfloat16).eval()  # type: ignore[arg-type]
        torch.cuda.reset_peak_memory_stats()
        pixels = torch.zeros(work.frames_at_once, 3, 448, 448, dtype=torch.bfloat16)
        chunks = [
            model.get_image_features(pixel_values=pixels).pooler_output
            for _ in range(work.frames // work.frames_at_once)
        ]
        tokens = torch.cat(chunks)
        del pixels, chunks
        kept = tokens.flatten(0, 1).clone()
        words = torch.zeros(int(dense.flops["square"].prompt) - len(kept), 896, dtype=torch.bfloat16)
        prompt = torch.cat([kept, words]).unsqueeze(0)
        cache = DynamicCache(config=config.get_text_config())
        model(inputs_embeds=prompt, past_key_values=cache, use_cache=True, logits_to_keep=1)
    assert dense.memory.total == pytest.approx(torch.cuda.max_memory_allocated() - before, rel=0.15)
