"""The tokenizer of a checkpoint, checked against the model it belongs to."""

from pathlib import Path
from typing import Any, Final, Unpack

from torch import Tensor
from transformers import AutoTokenizer
from transformers.utils.hub import list_repo_templates

from videorouter.json_files import read_object
from videorouter.routers.backbones.loading import loading_from
from videorouter.routers.backbones.loading_options import HubSource
from videorouter.routers.backbones.weight_files import checkpoint_file


def load_tokenizer(path: str, config: Any, **access: Unpack[HubSource]) -> Any:
    """The tokenizer of the checkpoint folder or Hub id `path`, whose model's config is `config`; no weight is read.

    Its chat template is the processor's where that has one, as transformers takes it. Raises `ValueError` for a tokenizer of
    another model, and for template files that contradict each other.
    """
    with loading_from(path):
        tokenizer: Any = AutoTokenizer.from_pretrained(path, **access)
    _check_same_model(tokenizer, config, path)
    tokenizer.chat_template = _processor_template(path, access) or tokenizer.chat_template
    return tokenizer


def _processor_template(path: str, access: HubSource) -> Any:
    """The processor's own template; None where it has none but the tokenizer's.

    That is, in this order, an entry of `processor_config.json` and the older `chat_template.json`. A `chat_template.jinja` is
    the tokenizer's as well, and was read with it.
    """
    for name in ("processor_config.json", "chat_template.json"):
        file = checkpoint_file(path, name, **access)
        template = None if file is None else read_object(file, "fetch the checkpoint anew").get("chat_template")
        if template is not None and name == "chat_template.json" and _has_more_templates(path, access):
            raise ValueError(
                f"{path} holds an old chat_template.json beside a folder {_MORE_TEMPLATES}, which contradict each other: "
                "remove one of them, or fetch the checkpoint anew"
            )
        if isinstance(template, list):  # named ones, as tokenizers had them
            return {str(one["name"]): str(one["template"]) for one in template}
        if template is not None:
            return template
    return None


def _has_more_templates(path: str, access: HubSource) -> bool:
    if Path(path).is_dir():
        return any((Path(path) / _MORE_TEMPLATES).glob("*.jinja"))
    asked: Any = {"local_files_only": False, **access}
    with loading_from(path):
        return bool(list_repo_templates(path, **asked))


PLACEHOLDERS: Final = {
    "internvl": ("image_token_id", "<IMG_CONTEXT>"),
    "qwen2_5_vl": ("video_token_id", "<|video_pad|>"),
    "qwen3_vl": ("video_token_id", "<|video_pad|>"),
    "llava_onevision": ("video_token_id", "<video>"),
}
"""By `model_type`: the config's entry that says which id visual tokens stand at, and what the tokenizer calls it."""
_MORE_TEMPLATES: Final = "additional_chat_templates"


def check_system_prompt(text: str | None, family: str, path: str) -> None:
    """Raise `ValueError` where what the system says holds what stands for visual tokens in a checkpoint of `family`."""
    _, written = PLACEHOLDERS.get(family, ("", ""))
    if text is not None and written and written in text:
        raise ValueError(f"system_prompt holds {written!r}, which stands for visual tokens in {path}: take it out")


def check_rows(ids: Tensor, rows: int, tokenizer: Any) -> None:
    """Raise `ValueError` where one of `ids` has no row among the model's `rows` embeddings, naming the entry."""
    if ids.numel() and int(ids.max()) >= rows:
        entry = tokenizer.convert_ids_to_tokens(int(ids.max()))
        raise ValueError(
            f"the text holds {entry!r}, which {tokenizer.name_or_path} has no embedding for: the model cannot read it; "
            "take it out of the question, the options or the answer"
        )


def _check_same_model(tokenizer: Any, config: Any, path: str) -> None:
    """Entries without an embedding row are those with a role that the model does not play, and no others.

    transformers' conversion gave InternVL3's tokenizer a `<video>`, named as `video_token`, for which its model has no row.
    The placeholder of visual tokens is the family's own in the model's own tokenizer; in another's its id is something else.
    """
    rows = config.get_text_config().vocab_size
    without = {entry for entry, number in tokenizer.get_vocab().items() if number >= rows}
    unnamed = without - set(tokenizer.all_special_tokens)
    role, written = PLACEHOLDERS.get(config.model_type, ("", ""))
    number = getattr(config, role, None)
    if unnamed:
        found = f"{len(unnamed)} of the {len(tokenizer)} entries of its tokenizer have no row among the model's {rows}"
    elif isinstance(number, int) and tokenizer.convert_ids_to_tokens(number) != written:
        found = (
            f"token {number} stands for visual tokens in config.json, where the family writes {written!r}, "
            f"and is {tokenizer.convert_ids_to_tokens(number)!r} in the tokenizer"
        )
    else:
        return
    raise ValueError(
        f"{path}: {found}: they belong to different models; fetch tokenizer files and weights of one revision"
    )
