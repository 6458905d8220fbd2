"""Training checkpoints -> one router folder: trained heads only, no pickled code, no GPU."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from routers.checkpoint import BaseModel, CheckpointError, RouterConfig, check_base, write_folder
from routers.model_card import model_card
from routers.systems.routing_options import RoutingOptions
from routers.systems.videorouter import Scales

RECORD = "videorouter"
HEADS = ("semantic", "image")


def export(
    checkpoints: Sequence[Path],
    out: Path,
    *,
    scales: Scales | None = None,
    threshold: float = 0.5,
    routing: RoutingOptions | None = None,
) -> Path:
    """Join the trained heads of one or more Lightning checkpoints in the router folder `out`.

    `scales`, `threshold` and `routing` are what the folder is used with where nothing else is asked for. Later checkpoints
    win where two hold the same head. Raises `CheckpointError` where a head is missing, the checkpoints disagree about the
    base model, or the base no longer has the hash it was trained with.
    """
    records: dict[str, dict[str, Any]] = {}
    tensors: dict[str, Tensor] = {}
    for path in checkpoints:
        content = _load(path)
        record = content[RECORD]
        records[record["head"]] = record
        prefix = f"{record['head']}."
        tensors = {key: value for key, value in tensors.items() if not key.startswith(prefix)}
        tensors |= {key: value for key, value in content["state_dict"].items() if key.startswith(prefix)}
    missing = [head for head in HEADS if head not in records]
    if missing:
        raise CheckpointError(
            f"no checkpoint of the {' and '.join(missing)} router among {', '.join(map(str, checkpoints))}: "
            "pass one --checkpoint for each router"
        )
    shared = {"base", "shadow_layers", "hidden", "frames", "sampler", "budget"}
    semantic, image = records["semantic"], records["image"]
    unequal = [name for name in ("shadow_layers", "hidden") if semantic[name] != image[name]]
    if semantic["base"]["sha256"] != image["base"]["sha256"]:
        unequal.append("base models")
    if unequal:
        raise CheckpointError(
            f"the two checkpoints were trained with different {', '.join(unequal)}: export a matching pair"
        )
    options = {name: image[name] for name in shared}
    config = RouterConfig(
        **(options | {"base": BaseModel(**image["base"])}),
        scales=scales or Scales(),
        threshold=threshold,
        routing=routing or RoutingOptions(),
    )
    check_base(config, config.base.path)
    metrics = {name: value for record in records.values() for name, value in record["metrics"].items()}
    write_folder(out, config, tensors, model_card(config, metrics))
    return out


def _load(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise CheckpointError(f"no checkpoint file at {path}")
    content = torch.load(path, map_location="cpu", weights_only=True)
    if RECORD not in content:
        raise CheckpointError(f"{path} was not written by `python -m train fit`: it lacks the {RECORD!r} record")
    return content
