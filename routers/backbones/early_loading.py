"""The early part of a video model: vision tower, projector, embeddings and the first k decoder layers (paper 3.2; way ours).

That is all that routers read of their base. The rest of the checkpoint is neither read nor, from the Hub, downloaded.
"""

import copy
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Unpack

import torch
from torch import Tensor, nn
from transformers import CONFIG_MAPPING, AutoConfig, AutoModel, AutoModelForImageTextToText, PreTrainedModel

from videorouter.routers.backbones.loading import loading_from
from videorouter.routers.backbones.loading_options import HubSource
from videorouter.routers.backbones.places import Places
from videorouter.routers.backbones.protocol import Backbone
from videorouter.routers.backbones.quantised import check_not_quantised, quantisation_of
from videorouter.routers.backbones.tensor_ranges import TensorRanges
from videorouter.routers.backbones.tying import has_own_head, set_tied
from videorouter.routers.backbones.weight_files import weight_files


@dataclass(frozen=True)
class EarlyModel:
    """A native model (`InternVLForConditionalGeneration`, ...) that ends after `layers` decoder layers, and what loading it read.

    Its vision tower, projector, embeddings and layers are the whole model's, and its last hidden state is the whole
    model's `hidden_states[layers]`: the final norm is left out. Asking for logits raises `ValueError`.

    `tensor_bytes` are those of the tensors wanted, `bytes_read` all that was read, headers and index included; `files` are
    the weight files that were opened for it.
    """

    model: Any
    layers: int
    tensor_bytes: int
    bytes_read: int
    files: tuple[str, ...]


def load_early(
    source: str,
    layers: int = 4,
    *,
    device: str | torch.device = "cpu",
    dtype: torch.dtype | str | None = None,
    **access: Unpack[HubSource],
) -> EarlyModel:
    """Load the early part of the checkpoint folder or Hub id `source`; without `dtype` in the checkpoint's own.

    Raises `ValueError` for more layers than there are, a checkpoint without safetensors weights, one that lacks a tensor
    of the early part, and damaged files.
    """
    located = weight_files(source, **access)
    asked: HubSource = {**access, "revision": located.revision}
    config = early_config(AutoConfig.from_pretrained(source, trust_remote_code=False, **asked), layers)
    set_tied(config, not has_own_head(located.file_of))
    with torch.device("meta"):
        empty: Any = AutoModel.from_config(config)
    wanted = early_names(located.file_of, empty)
    names_by_file = defaultdict(list)
    for name in wanted:
        names_by_file[located.file_of[name]].append(name)
    tensors: dict[str, Tensor] = {}
    bytes_read = located.index_bytes
    for file, names in sorted(names_by_file.items()):
        with TensorRanges(located.path(file)) as ranges:
            tensors |= {wanted[name]: tensor for name, tensor in ranges.read(names)}
        bytes_read += ranges.bytes_read
    tensor_bytes = sum(tensor.nbytes for tensor in tensors.values())
    model = _whole_around(_filled(type(empty), config, tensors, dtype, source), config, layers, source)
    model.to(torch.device(device))
    return EarlyModel(model, layers, tensor_bytes, bytes_read, tuple(sorted(names_by_file)))


def check_early(source: str, layers: int, **access: Unpack[HubSource]) -> None:
    """Raise as `load_early` would, as far as names, headers and sizes of files tell; no weight is read and none downloaded."""
    located = weight_files(source, **access)
    asked: HubSource = {**access, "revision": located.revision}
    with loading_from(source):
        config: Any = AutoConfig.from_pretrained(source, trust_remote_code=False, **asked)
    check_not_quantised(source, quantisation_of(config))
    with torch.device("meta"):
        empty: Any = AutoModel.from_config(early_config(config, layers))
    places = {name for name, _ in empty.named_parameters()} - {_FINAL_NORM}
    missing = sorted(places - set(_placed(early_names(located.file_of, empty), empty).values()) - {_EMBEDDINGS})
    if missing:
        raise ValueError(f"{source} lacks {len(missing)} tensors of the early part, the first {missing[0]}")
    if located.revision is None:
        for file in sorted({located.file_of[name] for name in early_names(located.file_of, empty)}):
            with TensorRanges(located.path(file)):
                pass  # opening it reads its header, and sees whether it is cut off


def early_config(config: Any, layers: int) -> Any:
    """A copy of `config` whose decoder has `layers` layers. Raises `ValueError` if it has fewer."""
    config = copy.deepcopy(config)
    text = config.get_text_config()
    if not 1 <= layers <= text.num_hidden_layers:
        raise ValueError(f"{layers} early layers: the language model has {text.num_hidden_layers}")
    text.num_hidden_layers = layers
    if getattr(text, "layer_types", None):
        text.layer_types = text.layer_types[:layers]
    return config


def early_names(names: Iterable[str], empty: PreTrainedModel) -> dict[str, str]:
    """Those of a checkpoint's tensor `names` that the early model `empty` has a place for, as it is to be given them.

    transformers renames and converts tensors of older checkpoints while it loads them; the same rules decide here. A name
    stays as it is, unless the embeddings are kept under the head's name, as where the two are one.
    """
    places = empty.state_dict()
    placed = _placed(names, empty)
    wanted = {name: name for name, at in placed.items() if at in places and at != _FINAL_NORM}
    if _EMBEDDINGS not in placed.values():
        wanted |= {name: _EMBEDDINGS for name in placed if name.endswith("lm_head.weight")}
    return wanted


def placed_names(names: Iterable[str], config: Mapping[str, Any]) -> dict[str, str]:
    """A checkpoint's tensor `names`, each with its name in the native class of its config.json, whichever version wrote them.

    Raises what transformers raises for a config that it does not know.
    """
    read = CONFIG_MAPPING[config["model_type"]].from_dict(dict(config))
    with torch.device("meta"):
        whole: Any = AutoModelForImageTextToText.from_config(read)
    return _placed(names, whole)


def _placed(names: Iterable[str], empty: PreTrainedModel) -> dict[str, str]:
    places = Places(empty)
    return {name: places.of(name).name for name in names}


_EMBEDDINGS = "language_model.embed_tokens.weight"
_FINAL_NORM = "language_model.norm.weight"


class UnreadHead(nn.Module):
    """Stands where the language model's head would."""

    def __init__(self, layers: int, source: str) -> None:
        super().__init__()
        self.layers, self.source = layers, source

    def forward(self, states: Tensor) -> Tensor:
        raise ValueError(
            f"only the first {self.layers} layers of {self.source} were loaded, for routers: they cannot answer. "
            "Load the whole model (without early_layers)"
        )


def loaded_early(backbone: Backbone) -> bool:
    """Whether of the model no more than its early part is there."""
    return isinstance(getattr(getattr(backbone, "model", None), "lm_head", None), UnreadHead)


def _filled(
    kind: type[PreTrainedModel],
    config: Any,
    tensors: Mapping[str, Tensor],
    dtype: torch.dtype | str | None,
    source: str,
) -> PreTrainedModel:
    """The early model with its tensors in place, as transformers places them."""
    width = config.get_text_config().hidden_size
    given = {**tensors, _FINAL_NORM: torch.ones(width)}  # given so that its absence is no warning; left out below
    load: Any = kind.from_pretrained
    model, report = load(None, config=config, state_dict=given, dtype=dtype or "auto", output_loading_info=True)
    if report["missing_keys"]:
        missing = sorted(report["missing_keys"])
        raise ValueError(f"{source} lacks {len(missing)} tensors of the early part, the first {missing[0]}")
    model.language_model.norm = nn.Identity()
    return model


def _whole_around(early: PreTrainedModel, config: Any, layers: int, source: str) -> Any:
    """The class with the head around the early model, so that it is used as the whole one is."""
    with torch.device("meta"):
        whole: Any = AutoModelForImageTextToText.from_config(config)
    whole.model = early
    whole.lm_head = UnreadHead(layers, source)
    return whole
