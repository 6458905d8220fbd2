"""Tiny checkpoints with random weights of the true architectures, and videos to show them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    InternVLConfig,
    InternVLForConditionalGeneration,
    LlavaOnevisionConfig,
    LlavaOnevisionForConditionalGeneration,
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
)

from videorouter.routers.systems.base import CompressedVideo

SPECIAL = [
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<img>", "</img>", "<IMG_CONTEXT>",
    "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>", "<image>", "<video>",
]  # fmt: skip
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
TEXT = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 4096,
}


SQUARE: dict[str, dict[str, Any]] = {"qwen2_5_vl": {"frame_size": 112}, "qwen3_vl": {"frame_size": 128}}
"""Options by family that show every video on one grid, 4x4 tokens, where frames would keep their aspect ratio."""


def tiny_tokenizer() -> PreTrainedTokenizerFast:
    """One token a byte, and the families' special tokens."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={letter: i for i, letter in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    fast.add_tokens(SPECIAL, special_tokens=True)
    fast.chat_template = TEMPLATE
    return fast


def write_tiny(out: Path, family: str, tower: str = "qwen2", tokenizer: Any = None, **more: Any) -> Path:
    """Write a tiny checkpoint of `family` (InternVL and LLaVA with a text `tower`), float32, its weights drawn wide."""
    tokenizer = tokenizer or tiny_tokenizer()
    torch.manual_seed(0)
    make: Any = MODELS[family]
    model: Any = make(tokenizer, tower, **more)
    for name, weight in model.named_parameters():
        if weight.ndim > 1:
            weight.data.normal_(0, 1 if "embed_tokens" in name else weight[0].numel() ** -0.5)
        elif "norm" in name and "q_norm" in name:  # sharp enough that heads look at different tokens
            weight.data.normal_(2, 0.5)
    model.generation_config.eos_token_id = tokenizer.convert_tokens_to_ids("<|im_end|>")
    model.generation_config.pad_token_id = tokenizer.convert_tokens_to_ids("<|endoftext|>")
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    return out


def video(frames: int, height: int = 90, width: int = 160) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (frames, height, width, 3), dtype=np.uint8)


def all_shown(backbone: Any, frames: np.ndarray) -> CompressedVideo:
    """Every token of uint8 `[T, H, W, 3]`, on the grid that these frames have."""
    grid = backbone.grid_of(*frames.shape[:3])
    return replace(all_kept(backbone.encode_frames(frames, grid=grid)), grid=grid)


def all_kept(tokens: torch.Tensor) -> CompressedVideo:
    """Every token of `[T, M, channels]`."""
    return some_kept(tokens, torch.arange(tokens.shape[0] * tokens.shape[1]))


def some_kept(tokens: torch.Tensor, places: torch.Tensor) -> CompressedVideo:
    """The tokens at flat `places`; positions as the backbone wants them."""
    per_frame = tokens.shape[1]
    frames, cells = places // per_frame, places % per_frame
    return CompressedVideo(tokens[frames, cells], frames, cells, total_frames=len(tokens))


@torch.no_grad()
def greedy_without_cache(backbone: Any, prompt: Any, count: int) -> list[int]:
    """Ids that the likeliest token each time makes, every one from a run over the whole prompt."""
    ids: list[int] = []
    for _ in range(count):
        ids.append(int(backbone.next_token_logits(prompt).argmax()))
        prompt = prompt.followed_by(backbone.model.get_input_embeddings()(torch.tensor(ids[-1:])))
    return ids


@torch.no_grad()
def attention_by_eager(backbone: Any, prompt: Any, layer: int) -> torch.Tensor:
    """What `inspect` reads, from the attention matrices of the eager kernel."""
    language = backbone.model.model.language_model
    more: dict[str, Any] = {}
    if prompt.deepstack:
        visual = torch.zeros(1, len(prompt), dtype=torch.bool)
        visual[0, prompt.visual] = True
        more = {"visual_pos_masks": visual, "deepstack_visual_embeds": list(prompt.deepstack)}
    implementation = language.config._attn_implementation
    language.set_attn_implementation("eager")
    seen = language(
        inputs_embeds=prompt.embeddings, position_ids=prompt.position_ids, output_attentions=True, **more
    ).attentions[layer][0]
    language.set_attn_implementation(implementation)
    start = prompt.text_start or int(prompt.visual[-1]) + 1
    visual_part = seen[:, start:][..., prompt.visual]
    return (visual_part / visual_part.sum(-1, keepdim=True)).amax((0, 1))


def _internvl(
    tokenizer: Any,
    tower: str,
    vision: dict[str, Any] | None = None,
    text: dict[str, Any] | None = None,
    **more: Any,
) -> InternVLForConditionalGeneration:
    seen = {
        "hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64,
        "image_size": [112, 112], "patch_size": [14, 14],
    }  # fmt: skip
    image = tokenizer.convert_tokens_to_ids("<IMG_CONTEXT>")
    config = InternVLConfig(
        vision_config=seen | (vision or {}),
        text_config=_text(tokenizer, tower) | (text or {}),
        image_token_id=image,
        image_seq_length=16,
        tie_word_embeddings=False,
        **more,
    )
    return InternVLForConditionalGeneration(config)


def _llava(tokenizer: Any, tower: str, **more: Any) -> LlavaOnevisionForConditionalGeneration:
    vision = {
        "model_type": "siglip_vision_model", "hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
        "intermediate_size": 64, "image_size": 70, "patch_size": 14, "vision_use_head": False,
    }  # fmt: skip
    config = LlavaOnevisionConfig(
        vision_config=vision,
        text_config=_text(tokenizer, tower),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        video_token_index=tokenizer.convert_tokens_to_ids("<video>"),
        tie_word_embeddings=False,
        **more,
    )
    return LlavaOnevisionForConditionalGeneration(config)


def _qwen2_5_vl(tokenizer: Any, tower: str, **more: Any) -> Qwen2_5_VLForConditionalGeneration:
    rope = {"rope_type": "default", "rope_theta": 10_000.0, "mrope_section": [2, 3, 3]}
    vision = {
        "depth": 2, "hidden_size": 48, "intermediate_size": 64, "num_heads": 4, "out_hidden_size": 64,
        "window_size": 56, "fullatt_block_indexes": [1], "tokens_per_second": 2,
    }  # fmt: skip
    text = {**TEXT, "vocab_size": len(tokenizer), "rope_parameters": rope, "bos_token_id": None, "eos_token_id": None}
    return Qwen2_5_VLForConditionalGeneration(
        Qwen2_5_VLConfig(text_config=text, vision_config=vision, **_qwen_ids(tokenizer), **more)
    )


def _qwen3_vl(tokenizer: Any, tower: str, **more: Any) -> Qwen3VLForConditionalGeneration:
    rope = {"rope_type": "default", "rope_theta": 10_000.0, "mrope_section": [4, 2, 2], "mrope_interleaved": True}
    vision = {
        "depth": 3, "hidden_size": 48, "intermediate_size": 64, "num_heads": 4, "out_hidden_size": 64,
        "num_position_embeddings": 36, "deepstack_visual_indexes": [0, 1],
    }  # fmt: skip
    text = {**TEXT, "head_dim": 16, "vocab_size": len(tokenizer), "rope_parameters": rope}
    return Qwen3VLForConditionalGeneration(
        Qwen3VLConfig(text_config=text, vision_config=vision, **_qwen_ids(tokenizer), **more)
    )


def _text(tokenizer: Any, tower: str) -> dict[str, Any]:
    head = {"head_dim": 16} if tower == "qwen3" else {}
    ends = {"bos_token_id": None, "eos_token_id": tokenizer.eos_token_id, "tie_word_embeddings": False}
    return {"model_type": tower, "vocab_size": len(tokenizer), **TEXT, **head, **ends}


def _qwen_ids(tokenizer: Any) -> dict[str, Any]:
    names = {
        "image_token_id": "<|image_pad|>", "video_token_id": "<|video_pad|>",
        "vision_start_token_id": "<|vision_start|>", "vision_end_token_id": "<|vision_end|>",
    }  # fmt: skip
    return {name: tokenizer.convert_tokens_to_ids(token) for name, token in names.items()}


MODELS = {"internvl": _internvl, "llava_onevision": _llava, "qwen2_5_vl": _qwen2_5_vl, "qwen3_vl": _qwen3_vl}
