"""Training checkpoints -> one router folder: trained tensors only, no pickled code, no GPU, whatever strategy trained them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from torch import Tensor

from videorouter.routers.allocation import Scales
from videorouter.routers.base_identity import BaseModel, CheckpointError
from videorouter.routers.checkpoint import RouterConfig, check_base, write_folder
from videorouter.routers.language_weights import write_language
from videorouter.routers.model_card import model_card
from videorouter.routers.shadow_weights import ShadowWeights
from videorouter.routers.systems.routing_options import RoutingOptions
from videorouter.routers.trained_file import RECORD, STATE, TrainedFileError, read_record, read_tensors

HEADS: Final = ("semantic", "image")


def export(
    checkpoints: Sequence[Path],
    out: Path,
    *,
    scales: Scales | None = None,
    threshold: float | None = None,
    routing: RoutingOptions | None = None,
) -> Path:
    """Join the trained heads of one or more training checkpoints in the router folder `out`.

    `scales`, `threshold` and `routing` are what the folder is used with where nothing else is asked for; the threshold is
    the one calibrated on validation data where it is None. Later checkpoints win where two hold the same head. Raises
    `CheckpointError` where a head is missing, the checkpoints disagree about the base model, or the base no longer has the
    hash it was trained with.
    """
    records: dict[str, dict[str, Any]] = {}
    tensors: dict[str, Tensor] = {}
    for path in checkpoints:
        record = _record(path)
        for head in record["heads"]:
            records[head] = record
            tensors = {key: value for key, value in tensors.items() if not key.startswith(f"{head}.")}
            held = read_tensors(path, f"{STATE}{head}.")
            tensors |= {f"{head}.{key}": value for key, value in held.items()}
    missing = [head for head in HEADS if head not in records]
    if missing:
        raise CheckpointError(
            f"no checkpoint of the {' and '.join(missing)} router among {', '.join(map(str, checkpoints))}: "
            "pass one --checkpoint for each router"
        )
    shared = {"shadow_layers", "hidden", "frames", "sampler", "budget"}
    semantic, image = records["semantic"], records["image"]
    unequal = [name for name in ("shadow_layers", "hidden") if semantic[name] != image[name]]
    if semantic["base"]["sha256"] != image["base"]["sha256"]:
        unequal.append("base models")
    if unequal:
        raise CheckpointError(
            f"the two checkpoints were trained with different {', '.join(unequal)}: export a matching pair"
        )
    config = RouterConfig(
        **{name: image[name] for name in shared},
        base=BaseModel(**image["base"]),
        scales=scales or Scales(),
        threshold=image["threshold"] if threshold is None else threshold,
        routing=routing or RoutingOptions(**image["routing"]),
        semantic_shadow=ShadowWeights(**semantic.get("shadows", {}).get("semantic", {})),
        image_shadow=ShadowWeights(**image.get("shadows", {}).get("image", {})),
    )
    check_base(config, config.base.path)
    metrics = {name: value for record in records.values() for name, value in record["metrics"].items()}
    data = {origin["fingerprint"]: origin for record in records.values() for origin in record["data"]}
    write_folder(out, config, tensors, model_card(config, metrics, list(data.values())))
    for head, record in records.items():
        if record["config"] is not None:
            (out / f"training-{head}.yaml").write_text(record["config"], encoding="utf-8")
    for path in checkpoints:
        if (language := _record(path).get("language")) is not None:
            write_language(out, language, read_tensors(path, f"{STATE}language."), config.base.path)
    return out


def _record(path: Path) -> dict[str, Any]:
    try:
        record = read_record(path)
    except TrainedFileError as error:
        raise CheckpointError(str(error)) from error
    return record[RECORD]
