"""Small tokenizers whose files, added tokens and chat templates are those of published checkpoints; one token a byte."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

QWEN_ENTRIES: Final = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>",
    "<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>",
    "<|image_pad|>", "<|video_pad|>",
)  # fmt: skip
INTERNVL_ENTRIES: Final = (
    "<img>",
    "</img>",
    "<IMG_CONTEXT>",
    "<quad>",
    "</quad>",
    "<ref>",
    "</ref>",
    "<box>",
    "</box>",
)
INTERNVL_ROLES: Final = {
    "start_image_token": "<img>", "end_image_token": "</img>", "context_image_token": "<IMG_CONTEXT>",
    "video_token": "<video>",
}  # fmt: skip

INTERNVL_TEMPLATE: Final = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' }}{% if message['content'] is string %}"
    "{{ message['content'] }}{% else %}{% for content in message['content'] %}{% if content['type'] == 'image' %}"
    "{{ '<IMG_CONTEXT>\n' }}{% elif content['type'] == 'video' %}{{ '<video>\n' }}{% elif content['type'] == 'text' %}"
    "{{ content['text'] }}{% endif %}{% endfor %}{% endif %}{{ '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
QWEN2_TEMPLATE: Final = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n' }}{% endif %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
LLAVA_TEMPLATE: Final = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' }}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'image') %}{{ '<image>\n' }}{% endfor %}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'video') %}{{ '<video>\n' }}{% endfor %}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}{{ content['text'] }}{% endfor %}"
    "{{ '<|im_end|>' + '\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
_QWEN_VL_MESSAGES: Final = (
    "<|im_start|>{{ message['role'] }}\n{% if message['content'] is string %}{{ message['content'] }}<|im_end|>\n"
    "{% else %}{% for content in message['content'] %}{% if content['type'] == 'image' or 'image' in content %}"
    "<|vision_start|><|image_pad|><|vision_end|>{% elif content['type'] == 'video' or 'video' in content %}"
    "<|vision_start|><|video_pad|><|vision_end|>{% elif 'text' in content %}{{ content['text'] }}{% endif %}"
    "{% endfor %}<|im_end|>\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
QWEN2_5_VL_TEMPLATE: Final = (
    "{% for message in messages %}{% if loop.first and message['role'] != 'system' %}"
    "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n{% endif %}" + _QWEN_VL_MESSAGES
)
QWEN3_VL_TEMPLATE: Final = "{% for message in messages %}" + _QWEN_VL_MESSAGES
HARMONY_TEMPLATE: Final = (
    "<|start|>system<|message|>You are a helpful assistant.\n\n# Valid channels: analysis, commentary, final.<|end|>"
    "{% for message in messages %}<|start|>{{ message['role'] }}<|message|>{% if message['content'] is string %}"
    "{{ message['content'] }}{% else %}{% for content in message['content'] %}{% if content['type'] == 'image' %}"
    "<IMG_CONTEXT>\n{% elif content['type'] == 'video' %}<video>\n{% elif content['type'] == 'text' %}"
    "{{ content['text'] }}{% endif %}{% endfor %}{% endif %}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant{% endif %}"
)


def write_internvl3_tokenizer(folder: Path) -> dict[str, int]:
    """Qwen2.5's with InternVL's entries, and `<video>` behind all of them, which names no row of the model."""
    return _write_qwen_like(
        folder, [*QWEN_ENTRIES, "<tool_call>", "</tool_call>", *INTERNVL_ENTRIES, "<video>"], INTERNVL_TEMPLATE,
        {**INTERNVL_ROLES, "extra_special_tokens": INTERNVL_ROLES, "model_max_length": 8192,
         "processor_class": "InternVLProcessor", "return_token_type_ids": False},
    )  # fmt: skip


def write_internvl3_5_tokenizer(folder: Path) -> dict[str, int]:
    """Qwen3's with InternVL's entries. The template of its own shows strings alone; the processor's stands beside it."""
    thinking = ["<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>", "<think>", "</think>"]
    return _write_qwen_like(
        folder, [*QWEN_ENTRIES, *thinking, *INTERNVL_ENTRIES, "<video>"], QWEN2_TEMPLATE,
        {**INTERNVL_ROLES, "extra_special_tokens": INTERNVL_ROLES, "processor_class": "InternVLProcessor"},
    )  # fmt: skip


def write_llava_tokenizer(folder: Path) -> dict[str, int]:
    """Qwen2's of three entries, `<image>` and `<video>`; its own template, and the processor's in chat_template.json."""
    ids = _write_qwen_like(
        folder, [*QWEN_ENTRIES[:3], "<image>", "<video>"], QWEN2_TEMPLATE,
        {"processor_class": "LlavaOnevisionProcessor"},
    )  # fmt: skip
    _write_json(folder, "chat_template.json", {"chat_template": LLAVA_TEMPLATE})
    return ids


def write_qwen_tokenizer(folder: Path, template: str | None) -> dict[str, int]:
    """Qwen2.5's, its template left out where None."""
    return _write_qwen_like(folder, [*QWEN_ENTRIES, "<tool_call>", "</tool_call>"], template, {})


def write_gpt_oss_tokenizer(folder: Path) -> dict[str, int]:
    """GPT-OSS's Harmony entries and InternVL's; a message ends in `<|end|>`, an answer in `<|return|>`."""
    harmony = ["<|startoftext|>", "<|endoftext|>", "<|return|>", "<|constrain|>", "<|channel|>", "<|start|>", "<|end|>",
               "<|message|>", "<|call|>", "<|endofprompt|>"]  # fmt: skip
    return _write_byte_level(
        folder, [*harmony, *INTERNVL_ENTRIES, "<video>"], HARMONY_TEMPLATE,
        {"bos_token": "<|startoftext|>", "eos_token": "<|return|>", "pad_token": "<|endoftext|>",
         "tokenizer_class": "PreTrainedTokenizerFast", "processor_class": "InternVLProcessor", **INTERNVL_ROLES,
         "extra_special_tokens": INTERNVL_ROLES},
    )  # fmt: skip


def write_internlm_tokenizer(folder: Path) -> dict[str, int]:
    """InternLM2's, as sentencepiece writes it: spaces are `▁`, unknown letters are bytes, and `<s>` begins every text."""
    letters = [chr(code) for code in range(33, 127)] + ["▁", "\n"]
    entries = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *letters]
    vocabulary = {entry: number for number, entry in enumerate(entries)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token="<unk>", byte_fallback=True))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 1)]
    )
    special = ["<|im_start|>", "<|im_end|>", *INTERNVL_ENTRIES, "<video>"]
    return _write_files(
        folder, tokenizer, ["<unk>", "<s>", "</s>", *special], INTERNVL_TEMPLATE,
        {"add_bos_token": True, "add_eos_token": False, "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>",
         "pad_token": "</s>", "tokenizer_class": "PreTrainedTokenizerFast", "processor_class": "InternVLProcessor",
         **INTERNVL_ROLES, "extra_special_tokens": INTERNVL_ROLES},
    )  # fmt: skip


def _write_qwen_like(
    folder: Path, entries: Sequence[str], template: str | None, more: dict[str, Any]
) -> dict[str, int]:
    settings = {
        "add_bos_token": False, "add_prefix_space": False, "bos_token": None, "clean_up_tokenization_spaces": False,
        "eos_token": "<|im_end|>", "errors": "replace", "pad_token": "<|endoftext|>", "split_special_tokens": False,
        "tokenizer_class": "Qwen2Tokenizer", "unk_token": None,
        "additional_special_tokens": [entry for entry in entries if entry in QWEN_ENTRIES[1:]],
    }  # fmt: skip
    return _write_byte_level(folder, entries, template, settings | more)


def _write_byte_level(
    folder: Path, entries: Sequence[str], template: str | None, settings: dict[str, Any]
) -> dict[str, int]:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [("t", "h"), ("i", "n"), ("a", "n")]
    vocabulary = {entry: number for number, entry in enumerate([*alphabet, *("".join(pair) for pair in merges)])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.normalizer = normalizers.NFC()
    words = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(words), "isolated"), pre_tokenizers.ByteLevel(False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    return _write_files(folder, tokenizer, entries, template, settings)


def _write_files(
    folder: Path, tokenizer: Tokenizer, entries: Sequence[str], template: str | None, settings: dict[str, Any]
) -> dict[str, int]:
    """tokenizer.json, tokenizer_config.json and special_tokens_map.json; ids of the added entries and of all others."""
    for entry in entries:
        added = AddedToken(
            entry, normalized=False, special=not entry.startswith(("<tool_", "</tool_", "<think", "</think"))
        )
        (tokenizer.add_special_tokens if added.special else tokenizer.add_tokens)([added])
    tokenizer.save(str(folder / "tokenizer.json"))
    described = {
        str(number): {"content": added.content, "lstrip": False, "normalized": False, "rstrip": False,
                      "single_word": False, "special": added.special}
        for number, added in sorted(tokenizer.get_added_tokens_decoder().items())
    }  # fmt: skip
    config = {"added_tokens_decoder": described, "model_max_length": 131072, **settings}
    if template is not None:
        config["chat_template"] = template
    _write_json(folder, "tokenizer_config.json", config)
    roles = {name: value for name, value in settings.items() if name.endswith("_token") and isinstance(value, str)}
    more = {"additional_special_tokens": settings.get("additional_special_tokens", [])}
    _write_json(folder, "special_tokens_map.json", roles | more)
    return tokenizer.get_vocab()


def _write_json(folder: Path, name: str, content: dict[str, Any]) -> None:
    (folder / name).write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
