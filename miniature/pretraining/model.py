"""A tiny InternVL: native class, own tokenizer; and folders with random weights, which prove shapes and speed, not accuracy."""

from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import InternVLConfig, InternVLForConditionalGeneration, PreTrainedTokenizerFast

from videorouter.miniature.pretraining.lesson_wordings import lesson_texts
from videorouter.miniature.pretraining.processor_files import ROLES, VIDEO, write_processor_files
from videorouter.miniature.world.wordings import vocabulary
from videorouter.routers.answering.video_router import VideoRouter
from videorouter.routers.backbones.loading import load_backbone
from videorouter.routers.backbones.saved_tensors import give_usual_mode
from videorouter.routers.checkpoints.base_identity import weights_hash
from videorouter.routers.checkpoints.router_folder import BaseModel, RouterConfig, build_routers

SPECIAL_TOKENS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<img>", "</img>", "<IMG_CONTEXT>"]
LABELLED_FRAMES = 64
"""Frames whose label is one token; later ones are spelled."""
VISION_WIDTH = 96
WRITING = 0.15
"""How small matrices begin that write into the residual stream."""
FRAMES, BUDGET = 64, 768
"""Of untrained routers."""
LETTERS = [f"({letter})" for letter in "ABCDEFGH"] + list("ABCDEFGH")


def write_base(out: Path, *, seed: int = 0, width: int = 128, vision_layers: int = 4, text_layers: int = 6) -> Path:
    """Write the checkpoint folder `out`: 112-pixel frames, 4x4 = 16 tokens each, `width` features, random weights.

    Raises `FileExistsError` where `out` already holds a checkpoint: weights that others name by hash are not replaced.
    """
    tokenizer = train_tokenizer()
    torch.manual_seed(seed)
    model = new_model(tokenizer, width=width, vision_layers=vision_layers, text_layers=text_layers)
    return save_base(out, model, tokenizer, _CARD.format(parameters=parameters_of(model) / 1e6, seed=seed))


def write_untrained_router(out: Path, base: Path, *, seed: int = 0, budget: int = BUDGET) -> Path:
    """Write the router folder `out`, random heads over the base it names, which is written too where `base` holds none yet."""
    if not (base / "config.json").exists():
        write_base(base)
    backbone = load_backbone(str(base))
    config = RouterConfig(base=BaseModel(str(base), weights_hash(base)), frames=FRAMES, budget=budget)
    torch.manual_seed(seed)
    semantic, image = build_routers(backbone, config)
    VideoRouter(backbone, config, semantic, image).save_pretrained(out)
    return out


def save_base(
    out: Path, model: InternVLForConditionalGeneration, tokenizer: PreTrainedTokenizerFast, card: str
) -> Path:
    """Write an ordinary transformers folder with processor files and model card. Raises `FileExistsError` as `write_base` does."""
    if (out / "config.json").exists():
        raise FileExistsError(f"{out} already holds a checkpoint: choose another folder or delete it")
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.save_pretrained(out)
    give_usual_mode(out / "model.safetensors")
    tokenizer.save_pretrained(out)
    write_processor_files(out, model.config)
    (out / "README.md").write_text(card, encoding="utf-8")
    return out


def parameters_of(model: InternVLForConditionalGeneration) -> int:
    """How many weights a model has."""
    return sum(parameter.numel() for parameter in model.parameters())


def new_model(
    tokenizer: PreTrainedTokenizerFast, *, width: int = 128, vision_layers: int = 4, text_layers: int = 6
) -> InternVLForConditionalGeneration:
    """An untrained model of the native class, its weights drawn from torch's global generator.

    Matrices keep the variance of what they read, except those that write into the residual stream, which begin small:
    with transformers' deviation of 0.02 everywhere, patches and words enter so weak that a narrow model's layers cover them.
    """
    model = InternVLForConditionalGeneration(_config(tokenizer, width, vision_layers, text_layers))
    language = model.model.language_model
    for part in (model.model.vision_tower, model.model.multi_modal_projector, language):
        for name, weight in part.named_parameters():
            if weight.ndim >= 2 and weight.shape[-1] > 1:
                writes = "o_proj" in name or "down_proj" in name
                weight.data.normal_(0, (WRITING if writes else 1.0) * weight[0].numel() ** -0.5)
    language.embed_tokens.weight.data.normal_(0, 1)
    model.lm_head.weight.data.normal_(0, 0.05)
    return model


def train_tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level BPE in which every word of the world and of its lessons is one token; any other text still has tokens.

    So is the label of each of a video's frames, "Frame-7: ": a fifth of the tokens of a pooled video would go to labels.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=2048,
        special_tokens=SPECIAL_TOKENS,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(sorted({*vocabulary(), *lesson_texts(), *LETTERS}), trainer)
    tokenizer.add_tokens([f"Frame-{number}: " for number in range(1, LABELLED_FRAMES + 1)])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        extra_special_tokens=ROLES,
    )
    fast.chat_template = (Path(__file__).parents[1] / "chat_template.jinja").read_text(encoding="utf-8")
    return fast


def _config(tokenizer: PreTrainedTokenizerFast, width: int, vision_layers: int, text_layers: int) -> InternVLConfig:
    return InternVLConfig(
        vision_config={
            "hidden_size": VISION_WIDTH,
            "num_hidden_layers": vision_layers,
            "num_attention_heads": 4,
            "intermediate_size": 3 * VISION_WIDTH,
            "use_absolute_position_embeddings": False,  # place comes from token order: see vision.py
            "image_size": [112, 112],
            "patch_size": [14, 14],
            "use_mean_pooling": False,
            "layer_scale_init_value": 1.0,
        },
        text_config={
            "model_type": "qwen2",
            "hidden_size": width,
            "intermediate_size": 4 * width,
            "num_hidden_layers": text_layers,
            "num_attention_heads": 4,
            "num_key_value_heads": 4,
            "head_dim": 64,
            "rope_parameters": {"rope_type": "default", "rope_theta": 100_000.0},
            "vocab_size": tokenizer.convert_tokens_to_ids(VIDEO),  # the last entry, and without a row
            "max_position_embeddings": 8192,
            "tie_word_embeddings": False,
            "bos_token_id": None,
            "eos_token_id": tokenizer.eos_token_id,
            "pad_token_id": tokenizer.pad_token_id,
        },
        image_token_id=SPECIAL_TOKENS.index("<IMG_CONTEXT>"),
        image_seq_length=16,
        downsample_ratio=0.5,
        tie_word_embeddings=False,
    )


_CARD = """---
license: apache-2.0
library_name: transformers
pipeline_tag: video-text-to-text
---
# Miniature InternVL

`InternVLForConditionalGeneration` with {parameters:.1f} M **random** parameters (seed {seed}) and a small tokenizer of its own.
Its answers are chance. It exists to run the whole of VideoRouter on a laptop: shapes, speed, routing, export.
"""
