"""The exported router folder: config.json, model.safetensors with what was trained, and the base model named by hash."""

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor

from routers.backbones import Backbone
from routers.base_identity import BaseModel, CheckpointError, base_identity
from routers.scoring import ImageRouter, SemanticRouter
from routers.systems.routing_options import RoutingOptions
from routers.systems.videorouter import Scales

__all__ = ["BaseModel", "CheckpointError", "RouterConfig", "build_routers", "check_base", "read_config", "write_folder"]

FORMAT_VERSION = 1
WEIGHTS = "model.safetensors"


@dataclass(frozen=True)
class RouterConfig:
    """Everything but weights. `frames` sampled a video, `budget` in visual tokens, `hidden` width of both heads."""

    base: BaseModel
    shadow_layers: int = 4
    hidden: int = 1024
    threshold: float = 0.5
    frames: int = 64
    sampler: str = "segment_midpoint"
    budget: int = 12_288
    scales: Scales = field(default_factory=Scales)
    routing: RoutingOptions = field(default_factory=RoutingOptions)
    format_version: int = FORMAT_VERSION


def build_routers(
    backbone: Backbone, config: RouterConfig, *, own_weights: bool = False
) -> tuple[SemanticRouter, ImageRouter]:
    """Both routers over one shadow stack of `backbone`, heads freshly initialised, everything else frozen.

    `own_weights` where the language model will change under them.
    """
    shadow = backbone.shadow_stack(config.shadow_layers, own_weights)
    shadow.requires_grad_(False).eval()
    semantic = SemanticRouter(shadow, backbone.hidden_size, config.hidden)
    image = ImageRouter(shadow, backbone.hidden_size, config.hidden)
    return semantic.to(backbone.device), image.to(backbone.device)


def trained_tensors(semantic: SemanticRouter, image: ImageRouter) -> dict[str, Tensor]:
    """The tensors an export holds: both heads with their feature moments, as `semantic.*` and `image.*`."""
    heads = {"semantic": semantic.head, "image": image.head}
    return {f"{name}.{key}": value for name, head in heads.items() for key, value in head.state_dict().items()}


def write_folder(folder: Path, config: RouterConfig, tensors: dict[str, Tensor], card: str) -> None:
    """Write config, weights and model card."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, folder / WEIGHTS)
    write_config(folder, config)
    (folder / "README.md").write_text(card, encoding="utf-8")


def write_config(folder: Path, config: RouterConfig) -> None:
    """Write config.json; the base's path is stored relative to `folder` when it is a local folder."""
    content = asdict(config)
    if Path(config.base.path).is_dir():
        content["base"]["path"] = os.path.relpath(Path(config.base.path).resolve(), folder.resolve())
    (folder / "config.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def read_config(folder: Path) -> RouterConfig:
    """Read config.json. Raises `CheckpointError` for a missing file or a format this version does not know."""
    path = folder / "config.json"
    if not path.is_file():
        raise CheckpointError(f"{folder} holds no config.json: give the folder written by `python -m routers export`")
    content = json.loads(path.read_text(encoding="utf-8"))
    if content.get("format_version") != FORMAT_VERSION:
        raise CheckpointError(
            f"{path} has format_version {content.get('format_version')!r}, this version reads {FORMAT_VERSION}: "
            "install a matching release or export again"
        )
    base = BaseModel(**content.pop("base"))
    local = (folder / base.path).resolve()
    if local.is_dir():
        base = BaseModel(str(local), base.sha256, base.revision)
    routing = RoutingOptions(**content.pop("routing", {}))
    return RouterConfig(base=base, scales=Scales(**content.pop("scales")), routing=routing, **content)


def load_weights(folder: Path, semantic: SemanticRouter, image: ImageRouter) -> None:
    """Load both heads. Raises `CheckpointError` where names or shapes do not fit."""
    tensors = load_file(folder / WEIGHTS)
    for name, head in (("semantic", semantic.head), ("image", image.head)):
        own = {key.removeprefix(f"{name}."): value for key, value in tensors.items() if key.startswith(f"{name}.")}
        try:
            head.load_state_dict(own)
        except RuntimeError as error:
            raise CheckpointError(f"{folder / WEIGHTS} does not fit the {name} router: {error}") from error


def check_base(config: RouterConfig, base: str) -> None:
    """Raise `CheckpointError` unless `base`, a folder or Hub id, is the very model the routers were trained on."""
    found = base_identity(base, config.base.revision).sha256
    if found != config.base.sha256:
        raise CheckpointError(
            f"the base model in {base} has hash {found[:12]}, the routers were trained on {config.base.sha256[:12]}: "
            "pass the right one with --base"
        )
