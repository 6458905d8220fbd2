"""Small checkpoints with random weights in the layouts that are published on the Hub, one a family and size.

Their own saving would write other names, one file and fields of today. What is kept of the published ones: names and number
of the files, tensor names, dtype, fields of every config, added tokens, and where chat templates stand. Widths, depths and
picture sizes are small, so these are for loading, shapes and logits against the class, never for answers.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import torch
from safetensors.torch import save_file
from torch import Tensor

from tests.routers.published_tokenizers import (
    INTERNVL_TEMPLATE,
    QWEN2_5_VL_TEMPLATE,
    QWEN3_VL_TEMPLATE,
    write_gpt_oss_tokenizer,
    write_internlm_tokenizer,
    write_internvl3_5_tokenizer,
    write_internvl3_tokenizer,
    write_llava_tokenizer,
    write_qwen_tokenizer,
)

LAYERS: Final = 4
"""Decoder layers of every layout."""
SPARE_ROWS: Final = 7
"""Embedding rows without a tokenizer entry, where the published vocabulary is padded."""


def write_layout(name: str, folder: Path) -> Path:
    """Write the layout `name`, one of `LAYOUTS`, into `folder`; the same weights each time."""
    folder.mkdir(parents=True, exist_ok=True)
    LAYOUTS[name](folder)
    return folder


def write_internvl3(folder: Path, vision: dict[str, Any] | None = None) -> None:
    """Qwen2.5 as language model: `<video>`, the tokenizer's last entry, has no row, and nothing at the top speaks of tying."""
    ids = write_internvl3_tokenizer(folder)
    text = _qwen2_text(ids, vocab_size=ids["<video>"]) | {
        "rope_scaling": {"factor": 2.0, "rope_type": "dynamic", "type": "dynamic"},
    }
    config = _internvl_config(ids, text, _intern_vit(**(vision or {})))
    _write(folder, config, "InternVLForConditionalGeneration", _internvl_name)
    _write_json(folder, "generation_config.json", {"_from_model_config": True, "bos_token_id": ids["<|endoftext|>"],
        "eos_token_id": ids["<|im_end|>"], "transformers_version": "4.52.0.dev0"})  # fmt: skip
    _write_internvl_processor(folder)


def write_internvl2_5_llama(folder: Path) -> None:
    """InternLM2 as Llama: the tokenizer puts `<s>` before a text, and the end token stands in generation_config.json alone."""
    ids = write_internlm_tokenizer(folder)
    text = {
        "architectures": ["InternLM2ForCausalLM"], "attention_bias": False, "bos_token_id": 1, "eos_token_id": 2,
        "head_dim": 16, "hidden_act": "silu", "max_position_embeddings": 32768, "mlp_bias": False, "model_type": "llama",
        "pad_token_id": 2, "pretraining_tp": 1, "rms_norm_eps": 1e-05, "rope_theta": 1000000, "torch_dtype": "bfloat16",
        "rope_scaling": {"factor": 2.0, "rope_type": "dynamic", "type": "dynamic"}, "use_cache": True,
        "vocab_size": len(ids) + 2, **_WIDTHS,
    }  # fmt: skip
    _write(
        folder, _internvl_config(ids, text, _intern_vit()), "InternVLForConditionalGeneration", _internvl_name, shards=2
    )
    _write_json(folder, "generation_config.json", {"eos_token_id": ids["<|im_end|>"]})
    _write_internvl_processor(folder)


def write_internvl3_5(folder: Path, experts: bool = False) -> None:
    """Qwen3 as language model, or its mixture, whose `experts` are published one by one."""
    ids = write_internvl3_5_tokenizer(folder)
    text: dict[str, Any] = {
        "architectures": ["Qwen3ForCausalLM"], "attention_bias": False, "attention_dropout": 0.0, "dtype": "bfloat16",
        "bos_token_id": ids["<|endoftext|>"], "eos_token_id": ids["<|im_end|>"], "head_dim": 16, "hidden_act": "silu",
        "initializer_range": 0.02, "layer_types": ["full_attention"] * LAYERS, "max_position_embeddings": 40960,
        "max_window_layers": LAYERS, "model_type": "qwen3", "rms_norm_eps": 1e-06, "rope_scaling": None,
        "rope_theta": 1000000, "sliding_window": None, "use_cache": True, "use_sliding_window": False,
        "vocab_size": len(ids) + SPARE_ROWS, **_WIDTHS,
    }  # fmt: skip
    if experts:
        del text["layer_types"]
        text |= {
            "architectures": ["Qwen3MoeForCausalLM"], "model_type": "qwen3_moe", "decoder_sparse_step": 1,
            "mlp_only_layers": [], "moe_intermediate_size": 48, "norm_topk_prob": True, "num_experts": 8,
            "num_experts_per_tok": 2, "output_router_logits": False, "router_aux_loss_coef": 0.001,
        }  # fmt: skip
    config = _of_4_55(_internvl_config(ids, text, _intern_vit()))
    split = _unfused if experts else None
    _write(folder, config, "InternVLForConditionalGeneration", _internvl_name, split=split)
    _write_json(folder, "generation_config.json", {"eos_token_id": ids["<|im_end|>"]})
    _write_internvl_processor(folder)
    (folder / "chat_template.jinja").write_text(INTERNVL_TEMPLATE, encoding="utf-8")


def write_internvl3_5_gpt_oss(folder: Path) -> None:
    """GPT-OSS as language model: every second layer sees a window that is narrower than a frame; experts in one tensor a layer."""
    ids = write_gpt_oss_tokenizer(folder)
    text = {
        "architectures": ["GptOssForCausalLM"], "attention_bias": True, "attention_dropout": 0.0, "dtype": "bfloat16",
        "eos_token_id": ids["<|return|>"], "experts_per_token": 2, "head_dim": 16, "hidden_act": "silu",
        "initial_context_length": 4096, "initializer_range": 0.02, "max_position_embeddings": 131072,
        "layer_types": ["sliding_attention", "full_attention"] * (LAYERS // 2), "model_type": "gpt_oss",
        "num_experts_per_tok": 2, "num_local_experts": 4, "output_router_logits": False, "rms_norm_eps": 1e-05,
        "pad_token_id": ids["<|endoftext|>"], "rope_theta": 150000, "router_aux_loss_coef": 0.9, "sliding_window": 8,
        "rope_scaling": {"beta_fast": 32.0, "beta_slow": 1.0, "factor": 32.0, "rope_type": "yarn", "truncate": False,
                         "original_max_position_embeddings": 4096},
        "swiglu_limit": 7.0, "tie_word_embeddings": False, "use_cache": True,
        "vocab_size": len(ids) + SPARE_ROWS, **_WIDTHS, "intermediate_size": 64,
    }  # fmt: skip
    config = _of_4_55(_internvl_config(ids, text, _intern_vit(image_size=[112, 112])) | {"image_seq_length": 16})
    _write(folder, config, "InternVLForConditionalGeneration", _internvl_name, shards=2)
    _write_json(folder, "generation_config.json", {"eos_token_id": [ids["<|return|>"], ids["<|end|>"]],
        "pad_token_id": ids["<|endoftext|>"], "do_sample": True})  # fmt: skip
    _write_internvl_processor(folder, side=112)


def write_llava_onevision(folder: Path, tied: bool = False) -> None:
    """float16; the processor's template in chat_template.json, and Qwen2's own, which differs, with the tokenizer."""
    ids = write_llava_tokenizer(folder)
    text: dict[str, Any] = {
        "_name_or_path": "Qwen/Qwen2-7B-Instruct", "architectures": ["Qwen2ForCausalLM"], "max_window_layers": 28,
        "bos_token_id": ids["<|endoftext|>"], "eos_token_id": ids["<|im_end|>"], "model_type": "qwen2",
        "rope_theta": 1000000.0, "torch_dtype": "float16", "use_sliding_window": False,
        "vocab_size": len(ids) + SPARE_ROWS, **_WIDTHS,
    }  # fmt: skip
    if tied:
        text["tie_word_embeddings"] = True
    config = {
        "architectures": ["LlavaOnevisionForConditionalGeneration"], "ignore_index": -100,
        "image_grid_pinpoints": [[76, 76], [76, 152], [152, 76]], "image_token_index": ids["<image>"],
        "model_type": "llava_onevision", "projector_hidden_act": "gelu", "text_config": text, "tie_word_embeddings": tied,
        "torch_dtype": "float16", "transformers_version": "4.45.0.dev0", "use_image_newline_parameter": True,
        "video_token_index": ids["<video>"], "vision_aspect_ratio": "anyres_max_9",
        "vision_config": {
            "hidden_size": 64, "image_size": 76, "intermediate_size": 96, "model_type": "siglip_vision_model",
            "num_attention_heads": 4, "num_hidden_layers": 3, "patch_size": 14, "torch_dtype": "float16",
            "vision_use_head": False,
        },
        "vision_feature_layer": -1, "vision_feature_select_strategy": "full",
    }  # fmt: skip
    model = "LlavaOnevisionForConditionalGeneration"
    _write(folder, config, model, _llava_name, shards=1 if tied else 3, tied=tied, dtype=torch.float16)
    _write_json(folder, "generation_config.json", {"_from_model_config": True, "bos_token_id": ids["<|endoftext|>"],
        "eos_token_id": ids["<|im_end|>"], "transformers_version": "4.45.0.dev0"})  # fmt: skip
    shared = {"do_convert_rgb": True, "do_normalize": True, "do_rescale": True, "do_resize": True, "resample": 3,
        "image_mean": [0.5] * 3, "image_std": [0.5] * 3, "processor_class": "LlavaOnevisionProcessor",
        "rescale_factor": 1 / 255, "size": {"height": 76, "width": 76}}  # fmt: skip
    _write_json(
        folder, "preprocessor_config.json", shared | {"image_processor_type": "LlavaOnevisionImageProcessor",
        "image_grid_pinpoints": config["image_grid_pinpoints"]},
    )  # fmt: skip
    _write_json(folder, "video_preprocessor_config.json", shared | {
        "video_processor_type": "LlavaOnevisionVideoProcessor"})  # fmt: skip
    _write_json(folder, "processor_config.json", {"num_image_tokens": 25, "processor_class": "LlavaOnevisionProcessor",
        "vision_feature_select_strategy": "full"})  # fmt: skip


def write_qwen2_5_vl(folder: Path, tied: bool = False) -> None:
    """All of the text model's fields at the top; a list of end tokens; sampling and a penalty in generation_config.json."""
    ids = write_qwen_tokenizer(folder, QWEN2_5_VL_TEMPLATE)
    _write_json(folder, "chat_template.json", {"chat_template": QWEN2_5_VL_TEMPLATE})
    config = {
        "architectures": ["Qwen2_5_VLForConditionalGeneration"], "attention_dropout": 0.0, **_qwen_vl_ids(ids),
        "bos_token_id": ids["<|endoftext|>"], "eos_token_id": ids["<|im_end|>"], "vision_token_id": ids["<|vision_pad|>"],
        "hidden_act": "silu", "initializer_range": 0.02, "max_position_embeddings": 128000, "max_window_layers": LAYERS,
        "model_type": "qwen2_5_vl", "rms_norm_eps": 1e-06, "rope_theta": 1000000.0, "sliding_window": 32768,
        "tie_word_embeddings": tied, "torch_dtype": "bfloat16", "transformers_version": "4.41.2", "use_cache": True,
        "use_sliding_window": False, "rope_scaling": {"type": "mrope", "mrope_section": [2, 3, 3]},
        "vision_config": {
            "depth": 4, "hidden_act": "silu", "hidden_size": 64, "intermediate_size": 96, "num_heads": 4, "in_chans": 3,
            "out_hidden_size": 96, "patch_size": 14, "spatial_merge_size": 2, "spatial_patch_size": 14,
            "window_size": 112, "fullatt_block_indexes": [1, 3], "tokens_per_second": 2, "temporal_patch_size": 2,
        },
        "vocab_size": len(ids) + SPARE_ROWS, **_WIDTHS,
    }  # fmt: skip
    _write(folder, config, "Qwen2_5_VLForConditionalGeneration", _qwen2_5_vl_name, tied=tied, shards=2 if tied else 5)
    _write_json(folder, "generation_config.json", _qwen_generation(ids) | {"repetition_penalty": 1.05,
        "temperature": 0.000001, "transformers_version": "4.49.0"})  # fmt: skip
    _write_json(folder, "preprocessor_config.json", {
        "min_pixels": 3136, "max_pixels": 12845056, "patch_size": 14, "temporal_patch_size": 2, "merge_size": 2,
        "image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711],
        "image_processor_type": "Qwen2VLImageProcessor", "processor_class": "Qwen2_5_VLProcessor",
    })  # fmt: skip


def write_qwen3_vl(folder: Path, tied: bool = True) -> None:
    """The chat template in chat_template.jinja alone; small ones are tied, and then store no head."""
    ids = write_qwen_tokenizer(folder, None)
    (folder / "chat_template.jinja").write_text(QWEN3_VL_TEMPLATE, encoding="utf-8")
    config = {
        "architectures": ["Qwen3VLForConditionalGeneration"], "model_type": "qwen3_vl", **_qwen_vl_ids(ids),
        "text_config": {
            "attention_bias": False, "attention_dropout": 0.0, "bos_token_id": ids["<|endoftext|>"], "dtype": "bfloat16",
            "eos_token_id": ids["<|im_end|>"], "head_dim": 16, "hidden_act": "silu", "initializer_range": 0.02,
            "max_position_embeddings": 262144, "model_type": "qwen3_vl_text", "rms_norm_eps": 1e-06,
            "rope_scaling": {"mrope_interleaved": True, "mrope_section": [4, 2, 2], "rope_type": "default"},
            "rope_theta": 5000000, "tie_word_embeddings": tied, "use_cache": True,
            "vocab_size": len(ids) + SPARE_ROWS, **_WIDTHS,
        },
        "tie_word_embeddings": tied, "transformers_version": "4.57.0.dev0",
        "vision_config": {
            "deepstack_visual_indexes": [1, 2], "depth": 4, "hidden_act": "gelu_pytorch_tanh", "hidden_size": 64,
            "in_channels": 3, "initializer_range": 0.02, "intermediate_size": 96, "model_type": "qwen3_vl",
            "num_heads": 4, "num_position_embeddings": 36, "out_hidden_size": 96, "patch_size": 16,
            "spatial_merge_size": 2, "temporal_patch_size": 2,
        },
    }  # fmt: skip
    _write(folder, config, "Qwen3VLForConditionalGeneration", str, tied=tied, shards=1 if tied else 4)
    _write_json(
        folder, "generation_config.json", _qwen_generation(ids) | {"top_k": 20, "top_p": 0.8, "temperature": 0.7}
    )
    patches = {"patch_size": 16, "temporal_patch_size": 2, "merge_size": 2, "image_mean": [0.5] * 3,
        "image_std": [0.5] * 3, "processor_class": "Qwen3VLProcessor"}  # fmt: skip
    _write_json(folder, "preprocessor_config.json", patches | {"size": {"longest_edge": 16777216,
        "shortest_edge": 65536}, "image_processor_type": "Qwen2VLImageProcessorFast"})  # fmt: skip
    _write_json(folder, "video_preprocessor_config.json", patches | {"size": {"longest_edge": 25165824,
        "shortest_edge": 4096}, "video_processor_type": "Qwen3VLVideoProcessor"})  # fmt: skip


LAYOUTS: Final[dict[str, Callable[[Path], None]]] = {
    "InternVL3-8B-hf": write_internvl3,
    "InternVL3-38B-hf": lambda folder: write_internvl3(
        folder, {"use_qk_norm": True, "norm_type": "rms_norm", "attention_bias": False}
    ),
    "InternVL2_5-8B-MPO-hf": write_internvl2_5_llama,
    "InternVL3_5-8B-HF": write_internvl3_5,
    "InternVL3_5-30B-A3B-HF": lambda folder: write_internvl3_5(folder, experts=True),
    "InternVL3_5-20B-A4B-HF": write_internvl3_5_gpt_oss,
    "llava-onevision-qwen2-7b-ov-hf": write_llava_onevision,
    "llava-onevision-qwen2-0.5b-ov-hf": lambda folder: write_llava_onevision(folder, tied=True),
    "Qwen2.5-VL-7B-Instruct": write_qwen2_5_vl,
    "Qwen2.5-VL-3B-Instruct": lambda folder: write_qwen2_5_vl(folder, tied=True),
    "Qwen3-VL-2B-Instruct": write_qwen3_vl,
    "Qwen3-VL-8B-Instruct": lambda folder: write_qwen3_vl(folder, tied=False),
}
FAMILY_OF: Final = {
    name: next(family for start, family in
               (("Intern", "internvl"), ("llava", "llava_onevision"), ("Qwen2.5", "qwen2_5_vl"), ("Qwen3", "qwen3_vl"))
               if name.startswith(start))
    for name in LAYOUTS
}  # fmt: skip
TIED: Final = {"llava-onevision-qwen2-0.5b-ov-hf", "Qwen2.5-VL-3B-Instruct", "Qwen3-VL-2B-Instruct"}
"""Layouts that store no head of their own."""

_WIDTHS: Final[dict[str, Any]] = {
    "hidden_size": 96, "intermediate_size": 160, "num_attention_heads": 6, "num_hidden_layers": LAYERS,
    "num_key_value_heads": 2,
}  # fmt: skip


def _qwen2_text(ids: dict[str, int], vocab_size: int) -> dict[str, Any]:
    return {
        "architectures": ["Qwen2ForCausalLM"], "attention_dropout": 0.0, "bos_token_id": ids["<|endoftext|>"],
        "eos_token_id": ids["<|im_end|>"], "hidden_act": "silu", "initializer_range": 0.02,
        "max_position_embeddings": 32768, "max_window_layers": 70, "model_type": "qwen2", "rms_norm_eps": 1e-06,
        "rope_theta": 1000000.0, "sliding_window": None, "torch_dtype": "bfloat16", "use_cache": True,
        "use_sliding_window": False, "vocab_size": vocab_size, **_WIDTHS,
    }  # fmt: skip


def _intern_vit(**more: Any) -> dict[str, Any]:
    return {
        "architectures": ["InternVisionModel"], "attention_bias": True, "attention_dropout": 0.0, "dropout": 0.0,
        "hidden_act": "gelu", "hidden_dropout_prob": 0.0, "hidden_size": 64, "image_size": [56, 56],
        "initializer_factor": 0.1, "initializer_range": 1e-10, "intermediate_size": 96, "layer_norm_eps": 1e-06,
        "layer_scale_init_value": 0.1, "model_type": "internvl_vision", "norm_type": "layer_norm",
        "num_attention_heads": 4, "num_channels": 3, "num_hidden_layers": 3, "patch_size": [14, 14],
        "projection_dropout": 0.0, "torch_dtype": "bfloat16", "use_absolute_position_embeddings": True,
        "use_mask_token": False, "use_mean_pooling": True, "use_qk_norm": False, **more,
    }  # fmt: skip


def _internvl_config(ids: dict[str, int], text: dict[str, Any], vision: dict[str, Any]) -> dict[str, Any]:
    return {
        "architectures": ["InternVLForConditionalGeneration"], "downsample_ratio": 0.5, "image_seq_length": 4,
        "image_token_id": ids["<IMG_CONTEXT>"], "model_type": "internvl", "projector_hidden_act": "gelu",
        "text_config": text, "torch_dtype": "bfloat16", "transformers_version": "4.52.0.dev0", "vision_config": vision,
        "vision_feature_layer": -1, "vision_feature_select_strategy": "default",
    }  # fmt: skip


def _of_4_55(config: dict[str, Any]) -> dict[str, Any]:
    """As transformers wrote it from 4.55 on."""
    del config["torch_dtype"]
    return config | {"dtype": "bfloat16", "transformers_version": "4.55.0"}


def _write_internvl_processor(folder: Path, side: int = 56) -> None:
    _write_json(folder, "preprocessor_config.json", {
        "crop_to_patches": False, "do_convert_rgb": True, "do_normalize": True, "do_rescale": True, "do_resize": True,
        "image_mean": [0.485, 0.456, 0.406], "image_processor_type": "GotOcr2ImageProcessorFast",
        "image_std": [0.229, 0.224, 0.225], "max_patches": 12, "min_patches": 1, "processor_class": "InternVLProcessor",
        "resample": 3, "rescale_factor": 0.00392156862745098, "size": {"height": side, "width": side},
    })  # fmt: skip
    tokens = (side // 28) ** 2
    _write_json(folder, "processor_config.json", {"image_seq_length": tokens, "processor_class": "InternVLProcessor"})


def _qwen_vl_ids(ids: dict[str, int]) -> dict[str, int]:
    names = {"vision_start_token_id": "<|vision_start|>", "vision_end_token_id": "<|vision_end|>",
             "image_token_id": "<|image_pad|>", "video_token_id": "<|video_pad|>"}  # fmt: skip
    return {name: ids[token] for name, token in names.items()}


def _qwen_generation(ids: dict[str, int]) -> dict[str, Any]:
    ends = [ids["<|im_end|>"], ids["<|endoftext|>"]]
    return {"bos_token_id": ends[1], "pad_token_id": ends[1], "do_sample": True, "eos_token_id": ends}


def _internvl_name(name: str) -> str:
    name = re.sub(r"^model\.language_model\.", "language_model.model.", name)
    return re.sub(r"^model\.", "", re.sub(r"^lm_head", "language_model.lm_head", name))


def _llava_name(name: str) -> str:
    return re.sub(r"^vision_tower\.(?!vision_model)", "vision_tower.vision_model.", _internvl_name(name))


def _qwen2_5_vl_name(name: str) -> str:
    return re.sub(r"^model\.visual\.", "visual.", re.sub(r"^model\.language_model\.", "model.", name))


def _unfused(name: str, weight: Tensor) -> dict[str, Tensor]:
    """Qwen3-MoE's experts, `[E, ...]` in today's class, as they are published: each a layer of its own."""
    start = name.removesuffix("gate_up_proj").removesuffix("down_proj")
    if not start.endswith("experts."):
        return {name: weight}
    if name.endswith("down_proj"):
        return {f"{start}{number}.down_proj.weight": expert for number, expert in enumerate(weight)}
    halves = {"gate_proj": weight.chunk(2, 1)[0], "up_proj": weight.chunk(2, 1)[1]}
    return {
        f"{start}{number}.{part}.weight": expert for part, half in halves.items() for number, expert in enumerate(half)
    }


def _write(
    folder: Path,
    config: dict[str, Any],
    model_class: str,
    published_name: Callable[[str], str],
    *,
    shards: int = 3,
    tied: bool = False,
    dtype: torch.dtype = torch.bfloat16,
    split: Callable[[str, Tensor], dict[str, Tensor]] | None = None,
) -> None:
    """config.json, and random weights under published names in so many `shards`; a tied head is left out."""
    import transformers

    _write_json(folder, "config.json", config)
    read: Any = transformers.AutoConfig.from_pretrained(folder)
    for part in (read, read.get_text_config()):  # so that the head is a tensor of its own, whatever the class assumes
        part.tie_word_embeddings = False
    torch.manual_seed(0)
    model = getattr(transformers, model_class)(read)
    tensors: dict[str, Tensor] = {}
    for name, weight in model.state_dict().items():
        if not (tied and name == "lm_head.weight"):
            drawn = _drawn(name, weight)
            parts = {name: drawn} if split is None else split(name, drawn)
            tensors |= {published_name(key): part.to(dtype).contiguous() for key, part in parts.items()}
    if shards == 1:
        save_file(tensors, folder / "model.safetensors", {"format": "pt"})
        return
    names = list(tensors)
    place_of: dict[str, str] = {}
    for number in range(shards):
        file = f"model-{number + 1:05d}-of-{shards:05d}.safetensors"
        here = names[number * len(names) // shards : (number + 1) * len(names) // shards]
        save_file({name: tensors[name] for name in here}, folder / file, {"format": "pt"})
        place_of |= dict.fromkeys(here, file)
    size = sum(tensor.nbytes for tensor in tensors.values())
    _write_json(
        folder,
        "model.safetensors.index.json",
        {"metadata": {"total_size": size}, "weight_map": dict(sorted(place_of.items()))},
    )


def _drawn(name: str, weight: Tensor) -> Tensor:
    """Values under which heads look at different tokens and every layer counts."""
    if "norm" in name and name.endswith("weight"):
        return 1 + 0.1 * torch.randn(weight.shape)
    if "lambda_" in name:
        return 0.1 + 0.5 * torch.rand(weight.shape)
    if "embed_tokens" in name:  # small, so that a tied head does not see the last token again above all
        return 0.2 * torch.randn(weight.shape)
    if weight.ndim < 2 or "position_embedding" in name or "cls_token" in name or "pos_embed" in name:
        return 0.1 * torch.randn(weight.shape)
    columns = weight[0].numel() if weight.ndim != 3 else weight.shape[-1]
    return torch.randn(weight.shape) * columns**-0.5


def _write_json(folder: Path, name: str, content: dict[str, Any]) -> None:
    (folder / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
