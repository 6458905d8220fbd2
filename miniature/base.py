"""A tiny InternVL checkpoint: native class, own tokenizer, random weights. It proves shapes and speed, not accuracy."""

from collections.abc import Iterable
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch.nn import functional
from transformers import InternVLConfig, InternVLForConditionalGeneration, PreTrainedTokenizerFast

from miniature.wordings import vocabulary

SPECIAL_TOKENS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<img>", "</img>", "<IMG_CONTEXT>"]
LETTERS = [f"({letter})" for letter in "ABCDEFGH"] + list("ABCDEFGH")


def write_base(out: Path, *, seed: int = 0, width: int = 128, vision_layers: int = 4, text_layers: int = 6) -> Path:
    """Write the checkpoint folder `out`: 112-pixel frames, 4x4 = 16 tokens each, `width` features throughout.

    Raises `FileExistsError` where `out` already holds a checkpoint: weights that others name by hash are not replaced.
    """
    if (out / "config.json").exists():
        raise FileExistsError(f"{out} already holds a checkpoint: choose another folder or delete it")
    tokenizer = train_tokenizer(vocabulary())
    torch.manual_seed(seed)
    model = InternVLForConditionalGeneration(_config(tokenizer, width, vision_layers, text_layers))
    _let_inputs_through(model)
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    (out / "README.md").write_text(_CARD.format(parameters=parameters / 1e6, seed=seed), encoding="utf-8")
    return out


def train_tokenizer(texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """A byte-level BPE in which every word of `texts` is one token and any other text still has tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=2048,
        special_tokens=SPECIAL_TOKENS,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(sorted({*texts, *LETTERS}), trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=["<|im_start|>", "<img>", "</img>", "<IMG_CONTEXT>"],
    )
    fast.chat_template = Path(__file__).with_name("chat_template.jinja").read_text(encoding="utf-8")
    return fast


@torch.no_grad()
def _let_inputs_through(model: InternVLForConditionalGeneration) -> None:
    """Scale the random weights so that a state still says what its token shows after several random layers.

    With the default deviation of 0.02 everywhere, patches and words enter so weak that the layers' noise covers them: colour
    and shape of a scene were read from shadow states at 0.79 and 0.51, with these scales at 0.91 and 0.73 (linear probe).
    Patch filters are smooth, as trained ones are: a random 3x3 pattern enlarged to the patch.
    """
    filters = model.model.vision_tower.embeddings.patch_embeddings.projection.weight
    coarse = torch.randn(len(filters), 3, 3, 3) / (14 * 3**0.5)
    filters.copy_(functional.interpolate(coarse, filters.shape[-2:], mode="bilinear", align_corners=False))
    for layer in (model.model.multi_modal_projector.linear_1, model.model.multi_modal_projector.linear_2):
        layer.weight.normal_(0, 0.15)
    torch.nn.init.normal_(model.model.language_model.embed_tokens.weight)


def _config(tokenizer: PreTrainedTokenizerFast, width: int, vision_layers: int, text_layers: int) -> InternVLConfig:
    return InternVLConfig(
        vision_config={
            "hidden_size": width,
            "num_hidden_layers": vision_layers,
            "num_attention_heads": 4,
            "intermediate_size": 4 * width,
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
            "num_key_value_heads": 2,
            "vocab_size": len(tokenizer),
            "max_position_embeddings": 8192,
            "tie_word_embeddings": True,
            "bos_token_id": None,
            "eos_token_id": tokenizer.eos_token_id,
            "pad_token_id": tokenizer.pad_token_id,
        },
        image_token_id=SPECIAL_TOKENS.index("<IMG_CONTEXT>"),
        image_seq_length=16,
        downsample_ratio=0.5,
        tie_word_embeddings=True,
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
