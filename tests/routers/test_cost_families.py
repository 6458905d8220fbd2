"""Costs of every family and of mixtures of experts are what torch counts, what tensors hold, and what the backbones lay out."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_backbones import MODELS, all_kept, tiny_tokenizer, video, write_tiny
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoConfig, InternVLConfig, InternVLForConditionalGeneration

from videorouter.routers.answering.video_router import VideoRouter
from videorouter.routers.backbones.loading import load_backbone
from videorouter.routers.backbones.sources import LazyTokens
from videorouter.routers.cost.estimate import estimate
from videorouter.routers.cost.families import geometry_of
from videorouter.routers.cost.flops import decoder_flops, head_flops, routed_stages, vision_flops
from videorouter.routers.cost.memory import cache_numbers, windowed_cache
from videorouter.routers.cost.positions import limits_of, positions_of
from videorouter.routers.cost.workload import Workload
from videorouter.routers.routing.allocation import Scales
from videorouter.routers.routing.options import RoutingOptions
from videorouter.routers.systems.query import Query
from videorouter.routers.systems.videorouter import RoutedCompression
from videorouter.shards.policy import Policy

TEXT = {
    "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 4, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 16, "vocab_size": 300,
}  # fmt: skip
VISION = {
    "hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64,
    "image_size": [112, 112], "patch_size": [14, 14],
}  # fmt: skip
MOE = {
    "model_type": "qwen3_moe", "num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 32,
    "mlp_only_layers": [1], "decoder_sparse_step": 1,
}  # fmt: skip
GPT_OSS = {"model_type": "gpt_oss", "num_local_experts": 8, "num_experts_per_tok": 2, "sliding_window": 32}


def counted(run: Callable[[], object]) -> int:
    """FLOPs of `run` by torch's own counter."""
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()


def tiny(family: str) -> Any:
    make: Any = MODELS[family]
    return make(tiny_tokenizer(), "qwen2").eval()


def mixture(text: dict[str, Any]) -> InternVLConfig:
    return InternVLConfig(text_config={**TEXT, **text}, vision_config=VISION, tie_word_embeddings=False)


@pytest.mark.parametrize("cells", [(8, 8), (5, 9)])
@pytest.mark.parametrize("family", ["qwen2_5_vl", "qwen3_vl"])
def test_flops_of_a_qwen_tower_are_those_of_the_counter(family: str, cells: tuple[int, int]) -> None:
    model = tiny(family)
    vision, patches = model.config.vision_config, 3
    side = vision.patch_size * vision.spatial_merge_size
    geometry = geometry_of(model.config, (cells[0] * side, cells[1] * side))
    rows, columns = (cell * vision.spatial_merge_size for cell in cells)
    pixels = torch.zeros(patches * rows * columns, geometry.vision.patch_values)
    grid = torch.tensor([[patches, rows, columns]])
    features = model.get_video_features(pixels, video_grid_thw=grid)
    assert len(features.pooler_output[0]) == patches * geometry.vision.tokens
    assert counted(lambda: model.get_video_features(pixels, video_grid_thw=grid)) == vision_flops(
        geometry.vision, patches
    )


def test_windows_save_a_qwen2_5_tower_attention() -> None:
    model = tiny("qwen2_5_vl")
    windowed = geometry_of(model.config).vision
    model.config.vision_config.fullatt_block_indexes = [0, 1]
    assert windowed.pairs < geometry_of(model.config).vision.pairs == 2 * windowed.positions**2


@pytest.mark.parametrize(("newlines", "grid"), [("video", (3, 3)), ("grid", (2, 2))])
def test_flops_of_a_llava_tower_are_those_of_the_counter(newlines: str, grid: tuple[int, int], tmp_path: Path) -> None:
    backbone: Any = load_backbone(str(write_tiny(tmp_path / "base", "llava_onevision")), newlines=newlines)
    geometry = geometry_of(backbone.model.config, newlines=newlines)
    assert geometry.vision.grid == backbone.grid == grid
    assert counted(lambda: backbone.encode_frames(video(3))) == vision_flops(geometry.vision, 3)


def test_the_published_llava_grids_are_14_and_13() -> None:
    config: Any = AutoConfig.for_model("llava_onevision")
    config.vision_config.image_size, config.vision_config.patch_size = 384, 14
    assert geometry_of(config).vision.grid == (14, 14)
    assert geometry_of(config, newlines="grid").vision.grid == (13, 13)


@pytest.mark.parametrize("text", [MOE, GPT_OSS], ids=["qwen3_moe", "gpt_oss"])
def test_flops_of_a_mixture_are_those_of_its_router_and_active_experts(text: dict[str, Any]) -> None:
    config = mixture(text)
    model: Any = InternVLForConditionalGeneration(config).eval()
    model.set_attn_implementation("eager")
    model.model.language_model.set_experts_implementation("eager")  # the counter knows no grouped product
    decoder = geometry_of(config).decoder
    prompt = torch.randn(1, 100, 64)
    assert counted(lambda: model(inputs_embeds=prompt, logits_to_keep=1, use_cache=False)) == decoder_flops(
        decoder, 100
    ) + head_flops(decoder)
    cost = estimate(config)
    assert sum(cost.parameters.values()) == sum(parameter.numel() for parameter in model.parameters())


def test_other_experts_are_refused_by_name() -> None:
    text = {"model_type": "qwen2_moe", "num_experts": 4}
    with pytest.raises(ValueError, match=r"experts of 'qwen2_moe'.*'qwen3_moe', 'gpt_oss'"):
        geometry_of(mixture(text))


def test_layers_with_a_window_bound_cache_and_causal_attention() -> None:
    decoder = geometry_of(mixture(GPT_OSS)).decoder
    assert [decoder.window(layer) for layer in range(4)] == [32, None, 32, None]
    assert windowed_cache(decoder, 100) == 2 * 32 * (2 * 32 + 2 * 100)
    assert windowed_cache(decoder, 20) == 20 * cache_numbers(decoder)

    def pairs(before: int, tokens: int) -> int:
        keys = [[min(32, before + new + 1), before + new + 1] for new in range(tokens)]
        return 2 * sum(map(sum, keys))

    for before, tokens in ((0, 10), (0, 100), (20, 40), (90, 5)):
        saved = decoder_flops(decoder, tokens, before=before) - decoder_flops(
            decoder, tokens, before=before, attention="causal"
        )
        assert saved == 4 * decoder.query_width * (4 * (tokens * before + tokens**2) - pairs(before, tokens))


LABELS = {"internvl": len("Frame-1: \n") + 2, "qwen3_vl": len("<1.0 seconds>") + 2}
"""Tokens around a frame by the tiny tokenizer: one a byte, or a special token."""


@pytest.mark.parametrize(
    ("family", "seconds"),
    [("internvl", None), ("llava_onevision", None), ("qwen3_vl", None), ("qwen2_5_vl", None), ("qwen2_5_vl", 400.0)],
)
def test_positions_are_those_that_the_backbone_lays_out(family: str, seconds: float | None, tmp_path: Path) -> None:
    backbone: Any = load_backbone(str(write_tiny(tmp_path / "base", family)))
    tokens = backbone.encode_frames(video(12))
    shown = None if seconds is None else [seconds * (patch + 0.5) / len(tokens) for patch in range(len(tokens))]
    grid = backbone.grid_of(12, 90, 160)
    prompt = backbone.embed_prompt(replace(all_kept(tokens), grid=grid), "Which one?", seconds=shown)
    one = backbone.embed_prompt(replace(all_kept(tokens[:1]), grid=grid), "Which one?")
    geometry, labels = geometry_of(backbone.model.config, backbone.size_of(grid)), LABELS.get(family, 0)
    assert geometry.vision.grid == grid
    text = len(one) - geometry.vision.tokens - geometry.video_tokens - labels
    work = Workload(frames=12, text_tokens=text, label_tokens=labels, video_seconds=seconds)
    told = positions_of(geometry, work, len(prompt))
    if (
        family == "qwen2_5_vl"
    ):  # text before the video, and how far its time reaches beyond the text after it, are not known
        assert told - text <= prompt.next_position <= told
    else:
        assert told == (prompt.next_position or len(prompt))


def test_a_routed_prompt_of_qwen_ends_where_the_dense_one_does() -> None:
    systems = estimate(tiny("qwen3_vl").config, Workload(scales=Scales(2, 1, 4))).systems
    assert systems["videorouter"].positions == systems["dense"].positions
    assert systems["videorouter"].flops["square"].prompt < systems["dense"].flops["square"].prompt


def internvl(limit: int, **scaling: Any) -> InternVLConfig:
    text = {"model_type": "qwen2", **TEXT, "max_position_embeddings": limit}
    if scaling:
        text["rope_parameters"] = {"rope_type": "dynamic", "rope_theta": 10_000.0, **scaling}
    return InternVLConfig(text_config=text, vision_config=VISION)


def test_a_prompt_beyond_the_positions_is_said_first() -> None:
    assert estimate(internvl(4096)).said == ()  # 64 frames of 16 tokens
    dense, routed = estimate(internvl(300)).said
    assert dense.startswith("dense: a prompt of 1,660 positions is beyond the 300 that the model was made for")
    assert dense.endswith("`answer` refuses it without --long_prompts")
    assert routed.startswith("videorouter: ")


def test_dynamic_scaling_reaches_its_factor_times_the_limit() -> None:
    within, *_ = estimate(internvl(1000, factor=2.0)).said
    assert within.endswith("beyond the 1,000 that the model was made for: its dynamic scaling reaches 2,000")
    beyond, *_ = estimate(internvl(800, factor=2.0)).said
    assert beyond.endswith("its dynamic scaling reaches 1,600: `answer` refuses it without --long_prompts")
    limits = limits_of(internvl(800, factor=2.0).get_text_config())
    assert limits is not None
    assert limits.told("dense", 800) is None


def test_screening_encodes_in_full_only_what_small_frames_cannot_serve(base: Path) -> None:
    """Frames of 4 x 4 tokens, screened at 2 x 2."""
    config = AutoConfig.from_pretrained(base)
    side = config.vision_config.image_size[0] // 2
    geometry, small = geometry_of(config), geometry_of(config, side)
    full, screened = vision_flops(geometry.vision), vision_flops(small.vision)

    def told(**work: Any) -> float:
        return routed_stages(geometry, Workload(frames=8, screen_side=side, **work), small=small).vision

    # the irrelevant ones are averaged to 4 tokens, which the small ones have
    assert told(fragment=1.0, relevant=0.25) == pytest.approx(8 * screened + 2 * full)
    # 8 tokens a frame, which the small ones have not: no frame is screened
    assert told(fragment=0.0) == pytest.approx(8 * full)
    assert told(fragment=0.0, scales=Scales(4, 1, 4)) == pytest.approx(8 * screened)


def test_what_screening_encodes_is_what_the_system_encodes(router: Path) -> None:
    answering = VideoRouter.from_pretrained(router)
    backbone: Any = answering.backbone
    geometry = geometry_of(backbone.model.config)
    side = backbone.frame_size // 2
    small, frames = geometry_of(backbone.model.config, side), video(8, 64, 64)
    routed: tuple[tuple[Policy, float], ...] = (("fragment", 1.0), ("fragment", 0.0), ("global", 0.0))
    for policy, relevant in routed:
        system = RoutedCompression(
            backbone, answering.semantic, answering.image, policy=policy, options=RoutingOptions(screen_side=side),
            threshold=1 - 2 * relevant,
        )  # fmt: skip
        work = Workload(frames=8, screen_side=side, fragment=float(policy == "fragment"), relevant=relevant)
        work = replace(work, question_tokens=len(backbone.embed_text("Which?")))
        told = routed_stages(geometry, work, small=small)

        def run(system: Any = system) -> None:
            system.compress(LazyTokens(backbone, frames), Query("Which?", frames=frames), 12_288)

        routing = told.router if policy == "fragment" else 0  # a policy that is forced asks no Semantic Router
        semantic = decoder_flops(geometry.decoder, work.question_tokens, layers=4) if policy == "fragment" else 0
        assert counted(run) == pytest.approx(told.vision + routing - semantic, rel=0.02)


def test_other_families_cannot_screen() -> None:
    with pytest.raises(
        ValueError, match="screen_side 224: there is a cost of screening for internvl alone, not for 'qwen3_vl'"
    ):
        estimate(tiny("qwen3_vl").config, Workload(screen_side=224))
