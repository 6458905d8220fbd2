"""Training checkpoints -> one router folder with its card: trained tensors only, no pickle, no GPU, any strategy."""

import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from videorouter.routers.backbones.frame_shape import FrameShape
from videorouter.routers.backbones.language_weights import write_language
from videorouter.routers.backbones.loading import asked_shape, loading_from
from videorouter.routers.backbones.loading_options import PromptOptions
from videorouter.routers.backbones.shadow import ShadowWeights
from videorouter.routers.checkpoints.base_content import content_here, write_content
from videorouter.routers.checkpoints.base_facts import base_facts
from videorouter.routers.checkpoints.base_identity import BaseModel, CheckpointError, base_identity
from videorouter.routers.checkpoints.card import model_card
from videorouter.routers.checkpoints.hub import remove_router_files
from videorouter.routers.checkpoints.hub_snapshot import CONFIG
from videorouter.routers.checkpoints.language_inside import language_inside
from videorouter.routers.checkpoints.router_folder import WEIGHTS, RouterConfig, write_folder
from videorouter.routers.checkpoints.same_base import same_base
from videorouter.routers.checkpoints.trained_file import RECORD, STATE, TrainedFileError, read_record, read_tensors
from videorouter.routers.checkpoints.training_history import Training, earlier_trainings, write_history
from videorouter.routers.checkpoints.whole_below import WholeBelow
from videorouter.routers.routing.allocation import Scales
from videorouter.routers.routing.options import RoutingOptions

_log = logging.getLogger(__name__)
HEADS: Final = ("semantic", "image")
UNFINISHED: Final = ".unfinished"
UNCALIBRATED: Final = 0.5
"""The paper's threshold, of a training that was never validated."""


def export(
    checkpoints: Sequence[Path],
    out: Path,
    *,
    scales: Scales | None = None,
    threshold: float | None = None,
    routing: RoutingOptions | None = None,
    prompt: PromptOptions | None = None,
    language_dtype: torch.dtype | None = None,
    accept_base: bool = False,
) -> Path:
    """Join the trained heads of one or more training checkpoints in the router folder `out`.

    What is served is what was trained: `scales`, `threshold`, `routing` and `prompt` are as in training where they are None, the
    threshold as calibrated on validation data. Later checkpoints win where two hold the same head. Budget, frames, scales, and
    prompt are those of stage 3 where its checkpoint is among them, else the Image Router's; threshold and what the Image Router
    reads go with its head. A language model of stage 3 is written in `language_dtype`, in float32 as it was trained where None.

    The base's tensors are hashed and listed in base.json, which reads its weights once on a machine; where they are not all on
    this machine (routers trained on a Hub id read its early layers alone) nothing is downloaded for that, and base.json left out.
    `out` may hold an earlier export, which is replaced when the new one is complete.

    Raises `CheckpointError` where a head is missing or was trained without frames as a control, the checkpoints disagree about the
    base model, or the base is no longer the one they were trained with and `accept_base` does not take it.
    """
    if threshold is not None and not 0 <= threshold <= 1:
        raise ValueError(f"threshold is {threshold}: give a probability, from 0 to 1")
    unfinished = out / UNFINISHED  # on the same disk as `out`, which may be one of its own
    shutil.rmtree(unfinished, ignore_errors=True)
    if out.is_dir() and any(out.iterdir()) and not (out / WEIGHTS).is_file():
        raise ValueError(f"{out} is not empty and no router folder: choose another --out, or empty it")
    records, tensors = _heads(checkpoints)
    semantic, image = records["semantic"], records["image"]
    unequal = [name for name in ("shadow_layers", "hidden") if semantic[name] != image[name]]
    if unequal:
        raise CheckpointError(
            f"the two checkpoints were trained with different {', '.join(unequal)}: export a matching pair"
        )
    found, remedy = base_identity(image["base"]["path"], image["base"]["revision"]), "export a matching pair"
    for record in (semantic, image):
        base = same_base(BaseModel(**record["base"]), found, remedy=remedy, accept=accept_base)
    content = content_here(base.path, base.revision)
    together = next((path for path in reversed(checkpoints) if "language" in _record(path)), None)
    used = image if together is None else _record(together)
    calibrated = image["threshold"]
    config = RouterConfig(
        **{name: used[name] for name in ("frames", "sampler", "budget")},
        shadow_layers=image["shadow_layers"],
        hidden=image["hidden"],
        base=replace(base, tensors=None if content is None else content.total),
        scales=scales or Scales(**used.get("scales", {})),
        threshold=next(value for value in (threshold, calibrated, UNCALIBRATED) if value is not None),
        routing=routing or RoutingOptions(**image["routing"]),
        prompt=prompt or PromptOptions(**used.get("prompt", {})),
        semantic_shadow=ShadowWeights(**semantic.get("shadows", {}).get("semantic", {})),
        image_shadow=ShadowWeights(**image.get("shadows", {}).get("image", {})),
        shape=FrameShape(**image.get("shape", {})),
    )
    _check_prompt(base, config.prompt)
    notes = []
    if threshold is None and calibrated is None:
        _log.warning("nothing was validated before this checkpoint: its threshold is %s, uncalibrated", UNCALIBRATED)
        notes.append("the threshold was not calibrated: nothing was validated before these weights were saved")
    if used.get("uniform_scale"):
        notes.append(
            f"the language model is the control that learned from frames pooled alike: ask it with the system "
            f"`uniform_pooling(scale={used['uniform_scale']})`"
        )
    unfinished.mkdir(parents=True)
    try:
        if together is not None:
            _write_language(unfinished, together, config.base.path, language_dtype)
        trainings = _trainings([records[head] for head in HEADS] + ([used] if together else []))
        facts, inside = base_facts(base.path, base.revision), language_inside(unfinished)
        card = model_card(config, trainings, base=facts, language=inside, notes=notes, name=out.resolve().name)
        write_folder(unfinished, config, tensors, card, out)
        write_history(unfinished, trainings)
        if content is not None:
            write_content(unfinished, content)
        _put_in_place(unfinished, out)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
        if not any(out.iterdir()):
            out.rmdir()
    return out


def _heads(checkpoints: Sequence[Path]) -> tuple[dict[str, dict[str, Any]], dict[str, Tensor]]:
    """By head the record of the checkpoint that it is taken from, and the tensors of both."""
    records: dict[str, dict[str, Any]] = {}
    tensors: dict[str, Tensor] = {}
    for path in checkpoints:
        record = _record(path)
        if record.get("inputs", "frame_and_question") != "frame_and_question":
            raise CheckpointError(
                f"{path} is of the control that withholds frames (inputs: {record['inputs']}), which a router cannot be served with"
            )
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
    return records, tensors


def _trainings(records: Sequence[dict[str, Any]]) -> list[Training]:
    """Those of the checkpoints, each after those that it started from; stages 1 and 2 in this order."""
    found: list[Training] = []
    for record in records:
        own = Training.of_record(record["heads"][0], record)
        found += [one for one in (*earlier_trainings(record), own) if one not in found]
    order = ("image", "semantic")
    return sorted(found, key=lambda one: order.index(one.stage) if one.stage in order else len(order))


def _write_language(folder: Path, checkpoint: Path, base: str, dtype: torch.dtype | None) -> None:
    language = _record(checkpoint)["language"]
    tensors: Mapping[str, Tensor] = read_tensors(checkpoint, f"{STATE}language.")
    record = {name: value for name, value in language.items() if name != "over"}
    if language.get("over"):
        tensors = WholeBelow(**language["over"]).with_adapter(record, tensors)
        record = {"mode": "full", "lora": None}
    write_language(folder, record, tensors, base, dtype)


def _put_in_place(made: Path, out: Path) -> None:
    """Move what was made into `out`, in place of an earlier export's files."""
    remove_router_files(out)
    order = {
        WEIGHTS: -1,
        CONFIG: 1,
    }  # without the last the folder does not load, with the first it may be exported into again
    for path in sorted(made.iterdir(), key=lambda path: order.get(path.name, 0)):
        path.replace(out / path.name)


def _check_prompt(base: BaseModel, prompt: PromptOptions) -> None:
    """Raise `ValueError` for what the base cannot be asked with, which no later option could put right."""
    from transformers import AutoConfig

    from videorouter.routers.backbones.tokenizer import check_system_prompt

    with loading_from(base.path):
        family = AutoConfig.from_pretrained(base.path, revision=base.revision).model_type
    asked_shape(base.path, family, **prompt.loading())
    check_system_prompt(prompt.system_prompt, family, base.path)


def _record(path: Path) -> dict[str, Any]:
    try:
        record = read_record(path)
    except TrainedFileError as error:
        raise CheckpointError(str(error)) from error
    return record[RECORD]
