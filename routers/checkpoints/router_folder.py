"""The exported router folder: config.json, model.safetensors with what was trained, and the base model named by hash."""

import json
import os
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Unpack

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from videorouter.json_files import read_object
from videorouter.routers.backbones.frame_shape import FrameShape
from videorouter.routers.backbones.loading_options import HubAccess, PromptOptions
from videorouter.routers.backbones.protocol import Backbone
from videorouter.routers.backbones.saved_tensors import save_tensors
from videorouter.routers.backbones.shadow import ShadowStack, ShadowWeights
from videorouter.routers.checkpoints.base_identity import BaseModel, CheckpointError, base_identity
from videorouter.routers.checkpoints.same_base import same_base
from videorouter.routers.routing.allocation import Scales
from videorouter.routers.routing.options import RoutingOptions
from videorouter.routers.routing.routers import ImageRouter, SemanticRouter

__all__ = ["BaseModel", "CheckpointError", "RouterConfig", "build_routers", "check_base", "read_config", "write_folder"]

FORMAT_VERSION = 1
WEIGHTS = "model.safetensors"
CARD = "README.md"
BELOW = "shadow."


@dataclass(frozen=True)
class RouterConfig:
    """Everything but weights. `frames` sampled a video, `budget` in visual tokens, `hidden` width of both heads.

    `shape` is that in which the routers saw frames: a square, as in all folders that do not say.
    """

    base: BaseModel
    shadow_layers: int = 4
    hidden: int = 1024
    threshold: float = 0.5
    frames: int = 64
    sampler: str = "segment_midpoint"
    budget: int = 12_288
    scales: Scales = field(default_factory=Scales)
    routing: RoutingOptions = field(default_factory=RoutingOptions)
    prompt: PromptOptions = field(default_factory=PromptOptions)
    semantic_shadow: ShadowWeights = field(default_factory=ShadowWeights)
    image_shadow: ShadowWeights = field(default_factory=ShadowWeights)
    shape: FrameShape = field(default_factory=FrameShape)
    format_version: int = FORMAT_VERSION


def build_routers(
    backbone: Backbone, config: RouterConfig, *, own_weights: bool = False
) -> tuple[SemanticRouter, ImageRouter]:
    """Both routers over the first layers of `backbone`, heads freshly initialised, everything else frozen.

    They share one stack, unless one has weights of its own below its head. `own_weights` where the language model will change
    under them.
    """
    semantic_shadow = router_shadow(backbone, config.shadow_layers, config.semantic_shadow, own_weights=own_weights)
    image_shadow = semantic_shadow
    if config.semantic_shadow.own or config.image_shadow.own:
        image_shadow = router_shadow(backbone, config.shadow_layers, config.image_shadow, own_weights=own_weights)
    semantic = SemanticRouter(semantic_shadow, backbone.hidden_size, config.hidden)
    image = ImageRouter(image_shadow, backbone.hidden_size, config.hidden)
    return semantic.to(backbone.device), image.to(backbone.device)


def router_shadow(backbone: Backbone, layers: int, weights: ShadowWeights, *, own_weights: bool = False) -> ShadowStack:
    """The first `layers` layers, prepared for a router's own `weights`, frozen."""
    shadow = backbone.shadow_stack(layers, own_weights or weights.mode == "full").eval()
    weights.put_into(shadow)
    return shadow


def router_tensors(name: str, router: SemanticRouter | ImageRouter, weights: ShadowWeights) -> dict[str, Tensor]:
    """What an export holds of the router `name`: `name.*` of its head with feature moments, `name.shadow.*` below it."""
    head = {**dict(router.head.named_parameters()), **dict(router.head.named_buffers())}
    below = weights.tensors(router.shadow)
    return {f"{name}.{key}": value for key, value in head.items()} | {
        f"{name}.{BELOW}{key}": value for key, value in below.items()
    }


def trained_tensors(config: RouterConfig, semantic: SemanticRouter, image: ImageRouter) -> dict[str, Tensor]:
    """The tensors an export holds, of both routers."""
    return router_tensors("semantic", semantic, config.semantic_shadow) | router_tensors(
        "image", image, config.image_shadow
    )


def write_folder(
    folder: Path, config: RouterConfig, tensors: dict[str, Tensor], card: str, place: Path | None = None
) -> None:
    """Write config, weights and model card; `place` is where they will lie, if not in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    save_tensors(tensors, folder / WEIGHTS)
    write_config(folder, config, place)
    (folder / CARD).write_text(card, encoding="utf-8")


def write_config(folder: Path, config: RouterConfig, place: Path | None = None) -> None:
    """Write config.json; the base's path is stored relative to `place`, `folder` where None, when it is a local folder."""
    content = asdict(config)
    if Path(config.base.path).is_dir():
        content["base"]["path"] = os.path.relpath(Path(config.base.path).resolve(), (place or folder).resolve())
    (folder / "config.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def read_config(folder: Path) -> RouterConfig:
    """Read config.json. Raises `CheckpointError` for a missing file or a format this version does not know."""
    path = folder / "config.json"
    if not path.is_file():
        raise CheckpointError(f"{folder} holds no config.json: give the folder written by `videorouter routers export`")
    try:
        content = read_object(path, "export again")
    except ValueError as error:
        raise CheckpointError(str(error)) from error
    if "model_type" in content and "format_version" not in content:
        raise CheckpointError(
            f"{folder} is a base model's checkpoint and no router: give it with --base (`VideoRouter.from_base`) and a system that "
            "needs no router, or a router folder"
        )
    if content.get("format_version") != FORMAT_VERSION:
        raise CheckpointError(
            f"{path} has format_version {content.get('format_version')!r}, this version reads {FORMAT_VERSION}: "
            "install a matching release or export again"
        )
    try:
        return _config_of(folder, content)
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{path} is not as `videorouter routers export` writes it ({error}): export again"
        ) from error


def _config_of(folder: Path, content: dict[str, Any]) -> RouterConfig:
    base = BaseModel(**content.pop("base"))
    local = (folder / base.path).resolve()
    if local.is_dir():
        base = replace(base, path=str(local))
    routing, prompt = RoutingOptions(**content.pop("routing", {})), PromptOptions(**content.pop("prompt", {}))
    semantic, image = (ShadowWeights(**content.pop(name, {})) for name in ("semantic_shadow", "image_shadow"))
    scales, shape = Scales(**content.pop("scales")), FrameShape(**content.pop("shape", {}))
    return RouterConfig(
        base=base,
        scales=scales,
        routing=routing,
        prompt=prompt,
        semantic_shadow=semantic,
        image_shadow=image,
        shape=shape,
        **content,
    )


def load_weights(folder: Path, config: RouterConfig, semantic: SemanticRouter, image: ImageRouter) -> None:
    """Load both routers. Raises `CheckpointError` where names or shapes do not fit."""
    try:
        held = load_file(folder / WEIGHTS)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{folder / WEIGHTS} cannot be read ({error}): export again, or fetch it anew") from error
    wanted = trained_tensors(config, semantic, image)
    unlike = {
        *(held.keys() ^ wanted.keys()),
        *(name for name in held.keys() & wanted.keys() if held[name].shape != wanted[name].shape),
    }
    if unlike:
        told = ", ".join(sorted(unlike)[:4])
        raise CheckpointError(
            f"{folder / WEIGHTS} does not fit its config.json and base in {len(unlike)} tensors, among them {told}: export again, "
            "or give the base that it was trained on"
        )
    for name, tensor in wanted.items():
        tensor.data.copy_(held[name])


def check_base(
    config: RouterConfig,
    base: str,
    *,
    revision: str | None = None,
    folder: Path | None = None,
    accept: bool = False,
    download: bool = False,
    **access: Unpack[HubAccess],
) -> RouterConfig:
    """`config` with its base where it was found: `base`, a folder or Hub id (there at `revision`).

    `folder` is the router folder that `config` was read from; the rest is as in `same_base`. Raises `CheckpointError` where it is
    another model than the routers were trained on and not accepted.
    """
    found, remedy = base_identity(base, revision, **access), "pass the right one with --base"
    named = same_base(config.base, found, remedy=remedy, folder=folder, accept=accept, download=download, **access)
    return replace(config, base=named)
