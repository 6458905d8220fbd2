"""The tokenizer of a checkpoint, checked against the model it belongs to."""

from pathlib import Path
from typing import Any

from torch import Tensor
from transformers import AutoTokenizer
from transformers.utils import cached_file

from videorouter.json_files import read_object
from videorouter.routers.backbones.loading import loading_from


def load_tokenizer(path: str, config: Any, revision: str | None = None) -> Any:
    """The tokenizer of the checkpoint folder or Hub id `path`, whose model's config is `config`; no weight is read.

    Older checkpoints keep their chat template in `chat_template.json`. Raises `ValueError` for a tokenizer of another model.
    """
    with loading_from(path):
        tokenizer: Any = AutoTokenizer.from_pretrained(path, revision=revision)
    _check_same_model(tokenizer, config, path)
    if tokenizer.chat_template is None:
        quiet = {"_raise_exceptions_for_missing_entries": False, "_raise_exceptions_for_connection_errors": False}
        if (file := cached_file(path, "chat_template.json", revision=revision, **quiet)) is not None:
            tokenizer.chat_template = read_object(Path(file))["chat_template"]
    return tokenizer


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
    Placeholders of visual tokens are special tokens of the model's own tokenizer; in another's their ids are something else.
    """
    rows = config.get_text_config().vocab_size
    without = {entry for entry, number in tokenizer.get_vocab().items() if number >= rows}
    unnamed = without - set(tokenizer.all_special_tokens)
    named = (getattr(config, name, None) for name in ("image_token_id", "video_token_id"))
    placeholders = {number for number in named if isinstance(number, int)}
    known = {number for number, entry in tokenizer.added_tokens_decoder.items() if entry.special}
    if unnamed:
        found = f"{len(unnamed)} of the {len(tokenizer)} entries of its tokenizer have no row among the model's {rows}"
    elif placeholders - known:
        number = min(placeholders - known)
        found = (
            f"token {number} stands for visual tokens in config.json, "
            f"and is {tokenizer.convert_ids_to_tokens(number)!r} in the tokenizer"
        )
    else:
        return
    raise ValueError(
        f"{path}: {found}: they belong to different models; fetch tokenizer files and weights of one revision"
    )
