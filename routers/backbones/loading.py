"""A checkpoint behind its family's `Backbone`, chosen from its config."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Unpack, cast

import torch
from safetensors import SafetensorError

from videorouter.json_files import read_object
from videorouter.routers.backbones.frame_shape import FrameShape
from videorouter.routers.backbones.loading_checks import check_options
from videorouter.routers.backbones.loading_options import HubSource, Loading, hub_source
from videorouter.routers.backbones.protocol import Backbone

FAMILIES = ("internvl", "qwen2_5_vl", "qwen3_vl", "llava_onevision")
"""`model_type` of the checkpoints that can be loaded."""
SHAPED: Final = ("frame_size", "min_pixels", "max_pixels", "aspect 'own'")
OWN_OPTIONS: Final = {
    "internvl": ("frame_label",),
    "qwen2_5_vl": SHAPED,
    "qwen3_vl": SHAPED,
    "llava_onevision": ("newlines",),
}
"""What one family alone can be asked for."""


def load_backbone(
    path: str,
    *,
    shape: FrameShape | None = None,
    newlines: str | None = None,
    **loading: Unpack[Loading],
) -> Backbone:
    """Load the checkpoint folder (or Hub id) `path` behind its family's `Backbone`.

    Qwen-VL frames keep their aspect ratio, with at least `min_pixels` and at most `max_pixels` a frame in place of the
    checkpoint's own limits, or are squeezed to a square of `frame_size` pixels a side where that is given. `shape` says the
    same in one (it is read where none of these is given), and names a square of 448 pixels without a number. `newlines` is the
    layout of LLaVA-OneVision ("video") or LLaVA-Video ("grid"); the rest is
    `videorouter.routers.backbones.loading_options.Loading`.
    Raises `ValueError` for a path where nothing is, a device that is not there, a family that is not supported, weights in the
    authors' remote-code format, or an option that the family does not have.
    """
    check_place(path)
    check_options(loading)
    check_format(path, **hub_source(loading))

    from transformers import AutoConfig

    with loading_from(path):
        family = AutoConfig.from_pretrained(path, trust_remote_code=False, **hub_source(loading)).model_type
    shape = asked_shape(path, family, shape, newlines=newlines, **loading)
    match family:
        case "internvl":
            from videorouter.routers.backbones.internvl import InternVLBackbone

            return InternVLBackbone(path, **loading)
        case "qwen2_5_vl":
            from videorouter.routers.backbones.qwen2_5_vl import Qwen25VLBackbone

            return Qwen25VLBackbone(path, shape=shape, **loading)
        case "qwen3_vl":
            from videorouter.routers.backbones.qwen3_vl import Qwen3VLBackbone

            return Qwen3VLBackbone(path, shape=shape, **loading)
        case "llava_onevision":
            from videorouter.routers.backbones.llava_onevision import LlavaOneVisionBackbone

            return LlavaOneVisionBackbone(path, newlines=cast(Any, newlines), **loading)
    raise ValueError(
        f"{path} is a {family!r} checkpoint: supported are {', '.join(FAMILIES)} in transformers' format "
        "(InternVL: repositories ending in -hf)"
    )


def asked_shape(
    path: str, family: str, shape: FrameShape | None = None, *, newlines: str | None = None, **loading: Unpack[Loading]
) -> FrameShape:
    """The shape in which a checkpoint of `family` is shown frames, by the options of `load_backbone`, before anything is loaded.

    Raises `ValueError` for an option that the family does not have, naming `path`, and for pixels that mean nothing.
    """
    frame_size, min_pixels = loading.get("frame_size"), loading.get("min_pixels")
    max_pixels = loading.get("max_pixels")
    pixels = {"frame_size": frame_size, "min_pixels": min_pixels, "max_pixels": max_pixels}
    if shape is not None and not any(value is not None for value in pixels.values()):
        pixels = {name: getattr(shape, name) for name in pixels}
    else:
        shape = None
    given = {**pixels, "newlines": newlines, "frame_label": loading.get("frame_label")}
    asked = [name for name, value in given.items() if value is not None]
    if shape is not None and shape.aspect == "own":
        asked.append("aspect 'own'")
    if family in FAMILIES and (foreign := [name for name in asked if name not in OWN_OPTIONS[family]]):
        raise ValueError(f"{path} is a {family!r} checkpoint, which has no option {', '.join(foreign)}")
    return shape or FrameShape.asked(frame_size, min_pixels, max_pixels)


def check_format(path: str, **access: Unpack[HubSource]) -> None:
    """Raise `ValueError` for a checkpoint in its authors' own format, naming the repository in transformers' format to take.

    And for a config without a part that transformers would make up.
    """
    from transformers.utils.hub import cached_file

    with loading_from(path):
        file = cached_file(path, "config.json", **access)
        config = read_object(Path(str(file)), "fetch the checkpoint anew")
    family = config.get("model_type")
    if (instead := FOREIGN_FORMATS.get(str(family))) is not None:
        raise ValueError(
            f"{path} is in its authors' own format ({family!r}), whose code is not run here: take {instead(Path(path).name)}, "
            "the same model in transformers' format"
        )
    lacking = [part for part in PARTS.get(str(family), ()) if not isinstance(config.get(part), dict)]
    if lacking:
        raise ValueError(f"{path}: its config.json has no {lacking[0]}, of which it is no model: fetch it anew")


def _internvl_in_transformers_format(name: str) -> str:
    if "InternVL3_5" in name:
        return f"OpenGVLab/{name}-HF"
    if "InternVL2_5" in name:
        return f"OpenGVLab/{name.removesuffix('-MPO')}-MPO-hf"
    return f"OpenGVLab/{name if 'InternVL3' in name else 'InternVL3-8B'}-hf"


def _llava_in_transformers_format(name: str) -> str:
    return f"llava-hf/{name if 'onevision' in name else 'llava-onevision-qwen2-7b-ov'}-hf"


PARTS: Final = {
    "internvl": ("text_config", "vision_config"),
    "qwen2_5_vl": ("vision_config",),
    "qwen3_vl": ("text_config", "vision_config"),
    "llava_onevision": ("text_config", "vision_config"),
}
"""By `model_type`: what a published config.json is made of; a Qwen2.5-VL's text is written at its top."""
FOREIGN_FORMATS: Final[dict[str, Callable[[str], str]]] = {
    "internvl_chat": _internvl_in_transformers_format,
    "llava_qwen": _llava_in_transformers_format,
}
"""`model_type` of checkpoints in their authors' formats, and the repository to take instead, by the name of the one given."""


def stored_dtype(config: Any) -> torch.dtype | None:
    """In which precision a checkpoint says that its weights are stored: of the whole, or (Qwen3-VL) of its text; None is unsaid."""
    found: torch.dtype | None = config.dtype or config.get_text_config().dtype
    return found


def usual_device() -> str:
    """Where a model goes if nothing is said: a GPU where there is one."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def check_place(path: str) -> None:
    """Raise `ValueError` for a checkpoint that is neither a folder nor could be an id on the Hub, before the Hub is asked."""
    if not Path(path).is_dir() and not could_be_on_the_hub(path):
        raise ValueError(f"{path} is not a folder: give the folder of a transformers checkpoint, or its id on the Hub")


@contextmanager
def asking_the_hub(path: str) -> Iterator[None]:
    """What fails in the body about a `path` that is no folder is said of both: no folder here, and why the Hub did not have it."""
    try:
        yield
    except OSError as error:
        if Path(path).is_dir():
            raise
        reason = " ".join(str(error).split())
        raise ValueError(
            f"{path} is not a folder here, and as an id on the Hub it was not found or not reached: {reason}"
        ) from error


@contextmanager
def loading_from(path: str) -> Iterator[None]:
    """What a library raises in the body about the checkpoint folder or Hub id `path` becomes a `ValueError` that names it."""
    try:
        with asking_the_hub(path):
            yield
    except (ValueError, OSError, ImportError, RuntimeError, SafetensorError) as error:
        reason = " ".join(str(error).split())
        if isinstance(error, ValueError | OSError) and path in reason:
            raise
        if isinstance(error, SafetensorError):
            reason = f"damaged weights ({reason})"
        remedy = "check the options and the folder, or fetch it anew" if Path(path).is_dir() else "check its id"
        if isinstance(error, torch.OutOfMemoryError):
            remedy = "take another --device, spread it with --device_map auto, or quantise it"
        elif isinstance(error, RuntimeError):
            remedy = "take another device, or a checkpoint in another form"
        elif isinstance(error, ImportError):
            remedy = "install that, or do without the option that needs it"
        raise ValueError(f"{path} cannot be loaded: {reason.rstrip('.')}: {remedy}") from error


def could_be_on_the_hub(path: str) -> bool:
    """Whether `path` is written as the Hub's ids are, user/name, and is no place beside what is on this disk."""
    written = path.count("/") == 1 and not path.startswith((".", "/", "~"))
    return written and not Path(path).parent.is_dir()
