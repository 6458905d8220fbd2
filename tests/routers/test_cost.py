"""What is estimated is what torch counts, what the model holds, and what the published arithmetic gives."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoConfig, InternVLConfig, InternVLForConditionalGeneration

from videorouter.routers.backbones.shadow import ShadowStack
from videorouter.routers.cost.estimate import Estimate, estimate
from videorouter.routers.cost.families import geometry_of
from videorouter.routers.cost.flops import decoder_flops, head_flops, router_flops, vision_flops
from videorouter.routers.cost.parameters import meta_model
from videorouter.routers.cost.workload import Workload
from videorouter.routers.routing.allocation import Scales, allocate

# What the design document's floors assume: 7 tokens around a frame, a question of 40 tokens and no other text.
PUBLISHED = Workload(label_tokens=7, text_tokens=40, question_tokens=40)


def internvl(width: int, layers: int, heads: int, key_heads: int, intermediate: int, **more: object) -> InternVLConfig:
    """An InternVL config around InternViT-300M, as all published sizes up to 14B have it."""
    text = {
        "model_type": "qwen2", "hidden_size": width, "num_hidden_layers": layers, "num_attention_heads": heads,
        "num_key_value_heads": key_heads, "intermediate_size": intermediate, "vocab_size": 151_674,
    }  # fmt: skip
    options = {"tie_word_embeddings": False, "dtype": "bfloat16"} | more
    return InternVLConfig(text_config=text, vision_config={"attention_bias": True}, **options)  # type: ignore[arg-type]


ONE_B = internvl(896, 24, 14, 2, 4864)
EIGHT_B = internvl(3584, 28, 28, 4, 18_944)


def counted(run: Callable[[], object]) -> int:
    """FLOPs of `run` by torch's own counter. The math kernel: the fused one of CPUs is unknown to the counter."""
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()


def test_the_geometry_of_the_published_1b_is_read_from_its_config(real_data: Path) -> None:
    published = json.loads((real_data / "tokenizers/internvl3/config.InternVL3-1B.json").read_text())
    decoder, text, vision = geometry_of(ONE_B).decoder, published["llm_config"], published["vision_config"]
    assert (decoder.width, decoder.layers, decoder.heads, decoder.key_heads, decoder.intermediate, decoder.vocabulary) == (
        text["hidden_size"], text["num_hidden_layers"], text["num_attention_heads"], text["num_key_value_heads"],
        text["intermediate_size"], text["vocab_size"],
    )  # fmt: skip
    own = geometry_of(ONE_B).vision
    assert (own.width, own.layers, own.intermediate) == (
        vision["hidden_size"], vision["num_hidden_layers"], vision["intermediate_size"],
    )  # fmt: skip


def test_flops_at_1b_geometry_are_those_of_the_counter() -> None:
    model, geometry = meta_model(ONE_B), geometry_of(ONE_B)
    assert isinstance(model, InternVLForConditionalGeneration)
    pixels = torch.empty(2, 3, 448, 448, device="meta")
    assert counted(lambda: model.get_image_features(pixel_values=pixels)) == pytest.approx(
        vision_flops(geometry.vision, 2), rel=0.02
    )
    for tokens in (50, 3000):
        prompt = torch.empty(1, tokens, 896, device="meta")
        prefill = counted(
            lambda prompt=prompt: model.model.language_model(  # type: ignore[misc]
                inputs_embeds=prompt, attention_mask={"full_attention": None}, use_cache=False
            )
        )
        assert prefill == pytest.approx(decoder_flops(geometry.decoder, tokens), rel=0.02)
    assert counted(lambda: model.lm_head(torch.empty(1, 1, 896, device="meta"))) == head_flops(geometry.decoder)


def test_flops_of_a_real_run_are_those_of_the_counter(base: Path) -> None:
    config = AutoConfig.from_pretrained(base)
    geometry = geometry_of(config)
    model = InternVLForConditionalGeneration.from_pretrained(base).eval()
    size = config.vision_config.image_size[0]
    assert counted(lambda: model.get_image_features(pixel_values=torch.zeros(3, 3, size, size))) == pytest.approx(
        vision_flops(geometry.vision, 3), rel=0.02
    )
    prompt = torch.zeros(1, 300, geometry.decoder.width)
    assert counted(lambda: model(inputs_embeds=prompt, logits_to_keep=1, use_cache=False)) == pytest.approx(
        decoder_flops(geometry.decoder, 300) + head_flops(geometry.decoder), rel=0.02
    )


@pytest.mark.parametrize("fragment", [0.0, 1.0])
def test_router_flops_are_those_of_the_shadow_stack(base: Path, fragment: float) -> None:
    model = InternVLForConditionalGeneration.from_pretrained(base).eval()
    geometry = geometry_of(model.config)
    shadow, width = ShadowStack(model.model.language_model, 4), geometry.decoder.width

    def route() -> None:
        shadow.text(torch.zeros(1, 20, width))
        if fragment:
            _, cache = shadow.frames(torch.zeros(8, 16, width))
            shadow.question_after_frames(torch.zeros(20, width), cache, 8)

    work = Workload(frames=8, question_tokens=20, fragment=fragment)
    assert counted(route) == pytest.approx(router_flops(geometry, work), rel=0.02)


@pytest.mark.parametrize(
    ("scales", "full", "pooled", "free"),
    [(Scales(2, 1, 4), 0.585, 0.542, 0.518), (Scales(4, 1, 8), 0.464, 0.420, 0.397)],
)
def test_the_floors_of_the_8b_model_come_out(scales: Scales, full: float, pooled: float, free: float) -> None:
    costs = [estimate(EIGHT_B, replace(PUBLISHED, scales=scales, router_pool=pool)) for pool in (1, 4)]
    ratios = [cost.of_dense("first_token", "causal") for cost in costs]
    shares = [cost.router_share("causal") for cost in costs]
    assert ratios == pytest.approx([full, pooled], abs=0.005)
    assert shares == pytest.approx([0.068, 0.024], abs=0.001)
    assert ratios[0] - shares[0] == pytest.approx(free, abs=0.005)


@pytest.mark.parametrize(("scales", "floor"), [(Scales(2, 1, 4), 0.36), (Scales(4, 1, 8), 0.23)])
def test_the_floors_of_the_1b_prefill_come_out(scales: Scales, floor: float) -> None:
    cost = estimate(ONE_B, replace(PUBLISHED, scales=scales))
    assert cost.of_dense("prefill", "causal") == pytest.approx(floor, abs=0.005)


def test_parameters_are_those_of_the_model(base: Path) -> None:
    model = InternVLForConditionalGeneration.from_pretrained(base)
    cost = estimate(AutoConfig.from_pretrained(base))
    assert sum(cost.parameters.values()) == sum(parameter.numel() for parameter in model.parameters())
    assert cost.parameters["vision"] == sum(parameter.numel() for parameter in model.model.vision_tower.parameters())
    assert cost.parameters["layers"] + cost.parameters["embeddings"] == sum(
        parameter.numel() for parameter in model.model.language_model.parameters()
    )


def test_a_head_that_shares_the_embeddings_counts_once() -> None:
    cost = estimate(internvl(896, 24, 14, 2, 4864, tie_word_embeddings=True))
    assert cost.parameters["head"] == 0
    assert cost.parameters["embeddings"] == 896 * 151_674
    assert cost.bytes["embeddings"] == 2 * cost.parameters["embeddings"]


@pytest.mark.parametrize("relevant", [0, 7, 20, 43, 48, 50, 64])
@pytest.mark.parametrize("policy", ["global", "fragment"])
def test_kept_tokens_are_the_allocator_s(policy: str, relevant: int) -> None:
    plan = allocate(policy, [frame < relevant for frame in range(64)])  # type: ignore[arg-type]
    assert Workload(relevant=relevant / 64).kept(policy, 256) == (len(plan.frames), plan.tokens)  # type: ignore[arg-type]


def test_the_mean_tokens_are_the_published_ones() -> None:
    def visual(cost: Estimate) -> float:
        return cost.systems["videorouter"].flops["square"].visual

    assert visual(estimate(EIGHT_B)) == pytest.approx(7748, abs=5)
    assert visual(estimate(EIGHT_B, Workload(scales=Scales(4, 1, 8)))) == pytest.approx(5262, abs=5)


def test_another_family_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"'qwen2'.*'internvl'"):
        estimate(AutoConfig.for_model("qwen2"))


def test_shares_outside_0_to_1_are_refused() -> None:
    with pytest.raises(ValueError, match="fragment is a share"):
        Workload(fragment=61.7)
