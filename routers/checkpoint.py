"""The exported router folder: config.json, model.safetensors with what was trained, and the base model named by hash."""

import hashlib
import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor

from routers.backbones import Backbone
from routers.scoring import ImageRouter, SemanticRouter
from routers.systems.routing_options import RoutingOptions
from routers.systems.videorouter import Scales

FORMAT_VERSION = 1
WEIGHTS = "model.safetensors"


class CheckpointError(ValueError):
    """An exported folder or a base model that cannot be used; the message says which, why and what to do."""


@dataclass(frozen=True)
class BaseModel:
    """The frozen video model that the routers were trained on: where it was, and the hash of its weights."""

    path: str
    sha256: str
    revision: str | None = None


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


def build_routers(backbone: Backbone, config: RouterConfig) -> tuple[SemanticRouter, ImageRouter]:
    """Both routers over one shadow stack copied from `backbone`, heads freshly initialised, everything else frozen."""
    shadow = backbone.shadow_stack(config.shadow_layers)
    shadow.requires_grad_(False).eval()
    semantic = SemanticRouter(shadow, backbone.hidden_size, config.hidden)
    image = ImageRouter(shadow, backbone.hidden_size, config.hidden)
    return semantic.to(backbone.device), image.to(backbone.device)


def trained_tensors(semantic: SemanticRouter, image: ImageRouter) -> dict[str, Tensor]:
    """The tensors an export holds: both heads with their feature moments, as `semantic.*` and `image.*`."""
    heads = {"semantic": semantic.head, "image": image.head}
    return {f"{name}.{key}": value for name, head in heads.items() for key, value in head.state_dict().items()}


def write_folder(folder: Path, config: RouterConfig, tensors: dict[str, Tensor], card: str) -> None:
    """Write config, weights and model card; the base's path is stored relative to `folder` when it is a local folder."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, folder / WEIGHTS)
    content = asdict(config)
    if Path(config.base.path).is_dir():
        content["base"]["path"] = os.path.relpath(Path(config.base.path).resolve(), folder.resolve())
    (folder / "config.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    (folder / "README.md").write_text(card, encoding="utf-8")


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


def weights_hash(folder: str | Path) -> str:
    """sha256 over config.json and every safetensors file of a checkpoint folder, by name and content.

    Raises `CheckpointError` where the folder holds no weights.
    """
    weights = sorted(Path(folder).glob("*.safetensors"))
    if not weights:
        raise CheckpointError(f"{folder} holds no safetensors weights: give the folder of a transformers checkpoint")
    total = hashlib.sha256()
    for path in [Path(folder) / "config.json", *weights]:
        with path.open("rb") as file:
            total.update(f"{path.name}:{hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return total.hexdigest()


def check_base(config: RouterConfig, folder: str | Path) -> None:
    """Raise `CheckpointError` unless `folder` holds the very base model the routers were trained on."""
    found = weights_hash(folder)
    if found != config.base.sha256:
        raise CheckpointError(
            f"the base model in {folder} has hash {found[:12]}, the routers were trained on {config.base.sha256[:12]}: "
            "pass the right one with --base"
        )
