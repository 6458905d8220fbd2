"""How a base model is loaded and asked: the options that every command and every way into the library takes (ours).

Loads without torch.
"""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypedDict

if TYPE_CHECKING:
    import torch

FrameLabel = Literal["Frame-1", "Frame1"]
"""What stands before InternVL's frames: its training and report wrote `Frame-1: `, transformers' processor writes `Frame1: `."""


class HubAccess(TypedDict, total=False):
    """How the Hub is asked; every entry may be left out.

    Args:
        token: of the Hub, for private and gated repositories; the one logged in with if left out
        cache_dir: the Hub's cache, if not where it usually is
        local_files_only: take what the cache holds and ask nobody
    """

    token: str | bool | None
    cache_dir: str | Path | None
    local_files_only: bool


class HubSource(HubAccess, total=False):
    """What the Hub is asked for, and how.

    Args:
        revision: commit, branch or tag of the repository
    """

    revision: str | None


class Loading(HubSource, total=False):
    """How a checkpoint is loaded; every entry may be left out.

    Args:
        device: torch device; a GPU where there is one, else the CPU
        dtype: of the weights; float32 on a CPU, where bfloat16 is slow on most machines, the checkpoint's own elsewhere
        device_map: "auto" spreads a model over the devices there are, or module names to devices; `device` is then not read
        max_memory: the most that a device map puts on each device, such as `{0: "20GiB", "cpu": "60GiB"}`
        offload_folder: where a device map puts weights that no device holds
        attn_implementation: "sdpa", "flash_attention_2", "eager", ...; transformers' own choice if left out
        quantization_config: how to quantise while loading: transformers' object, or its entries
        early_layers: read vision tower, projector, embeddings and that many decoder layers only, which is all that
            routers need; such a backbone cannot answer
        frame_label: what stands before InternVL's frames; "Frame-1" if left out
        system_prompt: what the system says before the user; what the checkpoint's template writes by itself if left out
        long_prompts: feed prompts beyond all positions that a model can be scaled to, which are refused otherwise
        frame_size: side in pixels of a square to which Qwen-VL's frames are squeezed; they keep their aspect ratio if left out
        min_pixels: fewest pixels of a frame at its own aspect ratio (Qwen-VL); the checkpoint's if left out
        max_pixels: most pixels of such a frame; the checkpoint's if left out
    """

    device: "str | torch.device | None"
    dtype: "torch.dtype | str | None"
    device_map: str | dict[str, Any] | None
    max_memory: dict[Any, Any] | None
    offload_folder: str | None
    attn_implementation: str | None
    quantization_config: Any
    early_layers: int | None
    frame_label: FrameLabel | None
    system_prompt: str | None
    long_prompts: bool
    frame_size: int | None
    min_pixels: int | None
    max_pixels: int | None


def hub_source(loading: Loading) -> HubSource:
    """Of these options those that say what the Hub is asked for, without what says nothing."""
    names = ("revision", *HubAccess.__annotations__)
    return {name: value for name in names if (value := loading.get(name))}  # type: ignore[return-value]


def hub_access(loading: Loading) -> HubAccess:
    """Of these options those that say how the Hub is asked, without what says nothing."""
    return {name: value for name in HubAccess.__annotations__ if (value := loading.get(name))}  # type: ignore[return-value]


@dataclass(frozen=True)
class PromptOptions:
    """How a base is asked, as far as a router was trained with it: kept in its export. As in `Loading`."""

    frame_label: FrameLabel | None = None
    system_prompt: str | None = None

    def loading(self) -> Loading:
        """What is asked for."""
        said: Any = {name: value for name, value in vars(self).items() if value is not None}
        return said

    def changed(self, loading: Loading) -> "PromptOptions":
        """The same with what `loading` says otherwise."""
        return PromptOptions(
            loading.get("frame_label") or self.frame_label,
            self.system_prompt if loading.get("system_prompt") is None else loading.get("system_prompt"),
        )


# `Loading` for command lines and YAML files. A `revision` is each command's own: a router may have one as well as a base.
@dataclass(kw_only=True)
class LoadingOptions:
    """How the base is loaded and asked.

    Args:
        device: torch device; a GPU where there is one, else cpu, where null
        dtype: of the weights; float32 on a CPU, the checkpoint's own elsewhere where null
        device_map: auto spreads the base over the GPUs there are, then main memory and the offload folder; `device` is then not
            read. Or module names to devices
        max_memory: the most that a device map puts on each device, such as {"0": "20GiB", "cpu": "60GiB"}
        offload_folder: where a device map puts weights that no device holds
        attn_implementation: sdpa, flash_attention_2, eager, ...; transformers' own choice where null
        quantization_config: how to quantise while loading, such as {"quant_method": "bitsandbytes", "load_in_4bit": true}
        token: of the Hub, for private and gated repositories; the one logged in with where null
        cache_dir: the Hub's cache, where not the usual one
        local_files_only: take what the Hub's cache holds and ask nobody
        frame_label: what stands before InternVL's frames, with a colon; the router's where null
        system_prompt: what the system says before the user; the router's, or what the base's template writes, where null
        long_prompts: feed prompts beyond all positions that the base can be scaled to, which are refused otherwise
        frame_size: squeeze Qwen-VL's frames to a square of so many pixels a side; as the router says, or at their own aspect ratio,
            where null
        min_pixels: fewest pixels of a frame at its own aspect ratio (Qwen-VL); the checkpoint's where null
        max_pixels: most pixels of such a frame; the checkpoint's where null
    """

    device: str | None = None
    dtype: Literal["float32", "bfloat16", "float16"] | None = None
    device_map: str | dict[str, Any] | None = None
    max_memory: dict[str, str | int] | None = None
    offload_folder: str | None = None
    attn_implementation: str | None = None
    quantization_config: dict[str, Any] | None = None
    token: str | None = None
    cache_dir: str | None = None
    local_files_only: bool = False
    frame_label: FrameLabel | None = None
    system_prompt: str | None = None
    long_prompts: bool = False
    frame_size: int | None = None
    min_pixels: int | None = None
    max_pixels: int | None = None

    def loading(self) -> Loading:
        """What was asked for."""
        asked: Any = {field.name: getattr(self, field.name) for field in fields(LoadingOptions)}
        if self.max_memory is not None:  # GPUs go by number
            asked["max_memory"] = {
                int(name) if name.isdigit() else name: most for name, most in self.max_memory.items()
            }
        return {name: value for name, value in asked.items() if value is not None and value is not False}  # type: ignore[return-value]


FLAGS: Final = {
    "local_files_only": "take what the Hub's cache holds and ask nobody",
    "long_prompts": "feed prompts beyond all positions that the base can be scaled to, which are refused otherwise",
}
"""Options that are given or not."""


def add_loading_options(parser: Any) -> None:
    """Add the fields of `LoadingOptions` to a jsonargparse parser."""
    parser.add_class_arguments(LoadingOptions, nested_key=None, skip=set(FLAGS))
    add_flags(parser)


def add_flags(parser: Any, *names: str) -> None:
    """Add `names` of `FLAGS`, all of them if none is given, to a jsonargparse parser as options without a value."""
    for name in names or FLAGS:
        parser.add_argument(f"--{name}", action="store_true", help=FLAGS[name])


def take_loading(options: dict[str, Any]) -> Loading:
    """Take the fields of `LoadingOptions` out of a command's `options` and say what they ask for."""
    there = [field.name for field in fields(LoadingOptions) if field.name in options]
    return LoadingOptions(**{name: options.pop(name) for name in there}).loading()
