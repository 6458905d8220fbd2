"""Whether a model's head is its embedding (tied) is read from its tensors, whatever its config says (ours).

Published InternVL configs have no top-level `tie_word_embeddings`, for which transformers 5 takes True, while 8B and 38B store a
head of their own; with False and no stored head, transformers makes a head of random numbers.
"""

import re
from collections.abc import Iterable
from typing import Any, Final, Unpack, cast

from torch import nn
from transformers import AutoConfig

from videorouter.routers.backbones.loading_options import HubSource, Loading, hub_source
from videorouter.routers.backbones.tensor_ranges import TensorRanges
from videorouter.routers.backbones.weight_files import find_weight_files

EMBEDDING: Final = re.compile(r"(^|\.)embed_tokens\.weight$")
LAYER: Final = re.compile(r"\.layers\.\d+\.")
HEAD: Final = re.compile(r"(^|\.)lm_head\.(?!bias)")


def has_own_head(names: Iterable[str]) -> bool:
    """Whether a checkpoint with tensors of these `names` stores a head beside its embedding.

    That is all that can be said before a weight is read; a stored head may still be the embedding once more.
    """
    held = list(names)
    return any(HEAD.search(name) for name in held) and any(EMBEDDING.search(name) for name in held)


def set_tied(config: Any, tied: bool) -> None:
    """Let `config` say so: itself, and its text config where that has a say."""
    config.tie_word_embeddings = tied
    text = config.get_text_config()
    if text is not config and hasattr(text, "tie_word_embeddings"):
        text.tie_word_embeddings = tied


def tied_by_tensors(path: str, **hub: Unpack[HubSource]) -> bool | None:
    """Whether the head of the checkpoint folder or Hub id `path` is its embedding: none is stored, or the same once more.

    Contents are compared up to where they first differ, so that next to nothing is read of a head of its own. None where there
    are no safetensors weights. Raises `ValueError` for damaged ones.
    """
    located = find_weight_files(path, **hub)
    if located is None:
        return None
    file_of = located.file_of
    if not has_own_head(file_of):
        return True
    head, embedding = (next(name for name in file_of if rule.search(name)) for rule in (HEAD, EMBEDDING))
    files = [located.path(file_of[name]) for name in (head, embedding)]
    with TensorRanges(files[0]) as one, TensorRanges(files[1]) as other:
        return same_content(one, head, other, embedding)


def same_content(one: TensorRanges, first: str, other: TensorRanges, second: str) -> bool:
    """Whether two stored tensors are of one dtype and shape and equal byte for byte; read up to where they first differ."""
    kinds = [
        (ranges.header[name]["dtype"], ranges.header[name]["shape"]) for ranges, name in ((one, first), (other, second))
    ]
    if kinds[0] != kinds[1]:
        return False
    return all(mine == theirs for mine, theirs in zip(one.pieces(first), other.pieces(second), strict=True))


def load_as_stored(model_class: Any, path: str, **options: Any) -> Any:
    """`model_class.from_pretrained(path, **options)`, tied or not as the checkpoint's tensors say; so does its config then.

    What is saved, counted or trained of the model afterwards goes by that. Raises what transformers raises, and `ValueError`
    for damaged weights, and for a checkpoint that lacks some or holds more layers than its config says.
    """
    hub = hub_source(cast(Loading, options))
    config: Any = AutoConfig.from_pretrained(path, trust_remote_code=False, **hub)
    tied = tied_by_tensors(path, **hub)
    if tied is not None:
        set_tied(config, tied)
    model, report = model_class.from_pretrained(path, config=config, output_loading_info=True, **options)
    check_whole(path, report)
    set_tied(model.config, model.lm_head.weight is model.get_input_embeddings().weight if tied is None else tied)
    return model


def check_whole(path: str, report: Any) -> None:
    """Raise `ValueError` where transformers' `report` on loading says that weights were drawn at random, or layers left out."""
    missing = sorted(report["missing_keys"])
    unlike = sorted(str(name[0] if isinstance(name, tuple) else name) for name in report["mismatched_keys"])
    spare = sorted(name for name in report["unexpected_keys"] if LAYER.search(name))
    for names, what in (
        (missing, "lacks {} tensors of its model, the first {}: without them it would answer at random"),
        (unlike, "holds {} tensors in other shapes than its config says, the first {}"),
        (spare, "holds {} tensors of layers that its config does not have, the first {}"),
    ):
        if names:
            told = what.format(len(names), names[0])
            raise ValueError(f"{path} {told}: fetch config.json and all weight files of one revision")


def untie(model: Any) -> None:
    """Give a model whose head is its embedding a head of its own, equal at first; others stay as they are."""
    embedding = model.get_input_embeddings().weight
    if model.lm_head.weight is embedding:
        model.lm_head.weight = nn.Parameter(embedding.detach().clone(), requires_grad=embedding.requires_grad)
        set_tied(model.config, False)
        model.all_tied_weights_keys = {}
