"""Training checkpoints -> one router folder with its card: trained tensors only, no pickle, no GPU, any strategy."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from torch import Tensor

from videorouter.routers.backbones.frame_shape import FrameShape
from videorouter.routers.backbones.language_weights import write_language
from videorouter.routers.backbones.loading import asked_shape, loading_from
from videorouter.routers.backbones.loading_options import PromptOptions
from videorouter.routers.backbones.shadow import ShadowWeights
from videorouter.routers.checkpoints.base_content import content_here, write_content
from videorouter.routers.checkpoints.base_identity import BaseModel, CheckpointError, base_identity
from videorouter.routers.checkpoints.router_folder import RouterConfig, write_folder
from videorouter.routers.checkpoints.same_base import same_base
from videorouter.routers.checkpoints.trained_file import RECORD, STATE, TrainedFileError, read_record, read_tensors
from videorouter.routers.routing.allocation import Scales
from videorouter.routers.routing.options import RoutingOptions

if TYPE_CHECKING:
    from videorouter.routers.checkpoints.router_folder import RouterConfig


def model_card(
    config: "RouterConfig", metrics: Mapping[str, float] | None = None, data: Sequence[Mapping[str, Any]] = ()
) -> str:
    """Markdown with Hub front matter.

    `metrics` are those measured when the exported checkpoints were saved, `data` the folders, fingerprints and licences of
    what was learned from.
    """
    rows = "\n".join(f"| {name} | {value:.4f} |" for name, value in sorted((metrics or {}).items()))
    table = f"| metric | value |\n|---|---|\n{rows}" if rows else "No metrics were recorded with these weights."
    origins = "\n".join(
        f"* fingerprint `{one['fingerprint']}`; licences of its questions: {', '.join(one['licences']) or 'none stated'}"
        for one in data
    )
    scales = config.scales
    return f"""---
license: apache-2.0
library_name: videorouter
pipeline_tag: video-text-to-text
---
# VideoRouter heads

Semantic Router and Image Router (arXiv 2605.05848) for one frozen base model. The folder holds the trained heads only;
the first {config.shadow_layers} decoder layers they read are the base's.

* base model weights: sha256 `{config.base.sha256}`{f", revision `{config.base.revision}`" if config.base.revision else ""}
* scales (global; relevant, irrelevant): ({scales.global_scale}; {scales.relevant_scale}, {scales.irrelevant_scale})
* {config.frames} frames a video ({config.sampler}), budget {config.budget} visual tokens, relevance threshold {config.threshold}

```python
from videorouter import VideoRouter

router = VideoRouter.from_pretrained("path/to/this/folder")
print(router.answer("video.mp4", "What happens after the red car stops?").text)
```

## Validation at the exported step

{table}

## Trained on

{origins or "Not recorded."}

The settings of each training are in `training-*.yaml`.
"""


HEADS: Final = ("semantic", "image")


def export(
    checkpoints: Sequence[Path],
    out: Path,
    *,
    scales: Scales | None = None,
    threshold: float | None = None,
    routing: RoutingOptions | None = None,
    prompt: PromptOptions | None = None,
    accept_base: bool = False,
) -> Path:
    """Join the trained heads of one or more training checkpoints in the router folder `out`.

    `scales`, `threshold`, `routing` and `prompt` are what the folder is used with where nothing else is asked for; the threshold
    is the one calibrated on validation data where it is None, the rest as in training. Later checkpoints win where two hold the
    same head.

    The base's tensors are hashed and listed in base.json, which reads its weights once on a machine; where they are not all on
    this machine (routers trained on a Hub id read its early layers alone) nothing is downloaded for that, and base.json left out.

    Raises `CheckpointError` where a head is missing, the checkpoints disagree about the base model, or the base is no longer the
    one they were trained with and `accept_base` does not take it.
    """
    if threshold is not None and not 0 <= threshold <= 1:
        raise ValueError(f"threshold is {threshold}: give a probability, from 0 to 1")
    if out.is_dir() and any(out.iterdir()) and not (out / "model.safetensors").is_file():
        raise ValueError(f"{out} is not empty and no router folder: choose another --out, or empty it")
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
    if unequal:
        raise CheckpointError(
            f"the two checkpoints were trained with different {', '.join(unequal)}: export a matching pair"
        )
    found, remedy = base_identity(image["base"]["path"], image["base"]["revision"]), "export a matching pair"
    for record in (semantic, image):
        base = same_base(BaseModel(**record["base"]), found, remedy=remedy, accept=accept_base)
    content = content_here(base.path, base.revision)
    config = RouterConfig(
        **{name: image[name] for name in shared},
        base=replace(base, tensors=None if content is None else content.total),
        scales=scales or Scales(),
        threshold=image["threshold"] if threshold is None else threshold,
        routing=routing or RoutingOptions(**image["routing"]),
        prompt=prompt or PromptOptions(**image.get("prompt", {})),
        semantic_shadow=ShadowWeights(**semantic.get("shadows", {}).get("semantic", {})),
        image_shadow=ShadowWeights(**image.get("shadows", {}).get("image", {})),
        shape=FrameShape(**image.get("shape", {})),
    )
    _check_prompt(base, config.prompt)
    metrics = {name: value for record in records.values() for name, value in record["metrics"].items()}
    data = {origin["fingerprint"]: origin for record in records.values() for origin in record["data"]}
    write_folder(out, config, tensors, model_card(config, metrics, list(data.values())))
    if content is not None:
        write_content(out, content)
    for head, record in records.items():
        if record["config"] is not None:
            (out / f"training-{head}.yaml").write_text(record["config"], encoding="utf-8")
    for path in checkpoints:
        if (language := _record(path).get("language")) is not None:
            write_language(out, language, read_tensors(path, f"{STATE}language."), config.base.path)
    return out


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
