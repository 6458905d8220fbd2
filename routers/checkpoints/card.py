"""The card of a router folder: front matter as the Hub reads it, what is inside, and every training that led there (ours)."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from videorouter.routers.checkpoints.base_facts import BaseFacts
from videorouter.routers.checkpoints.language_inside import LanguageInside
from videorouter.routers.checkpoints.training_history import Training, named

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

    from videorouter.routers.checkpoints.router_folder import RouterConfig

TASK: Final = "video-text-to-text"
METRIC_TYPES: Final = {
    "accuracy": "accuracy",
    "auroc": "roc_auc",
    "recall": "recall",
    "loss": "loss",
    "calibration_error": "expected_calibration_error",
}
"""The Hub's names of the metrics that trainings log, by the end of ours. (A threshold is none.)"""
STAGES: Final = {
    "image": "Stage 1, the Image Router",
    "semantic": "Stage 2, the Semantic Router",
    "joint": "Stage 3, language model and routers together",
}
UNSTATED: Final = "The base's card states no licence; what holds for the base holds for what was trained on it."
HERE: Final = "path/to/this/folder"
"""Stands in the example for where the card lies; a push writes the id of the repository."""


def model_card(
    config: "RouterConfig",
    trainings: Sequence[Training] = (),
    *,
    base: BaseFacts | None = None,
    language: LanguageInside | None = None,
    notes: Sequence[str] = (),
    name: str = "router",
) -> str:
    """Markdown with Hub front matter.

    `trainings` are those that led here, in order; `base` what is known of the base's id and licence; `language` what the folder
    holds for the language model; `notes` lines on how the folder is used; `name` that of the model in `model-index`.
    """
    facts = base or BaseFacts()
    sections = "\n".join(_training(one, stage) for one, stage in named_trainings(trainings)) or "Nothing is recorded.\n"
    title = f"VideoRouter for {facts.hub}" if facts.hub else "VideoRouter"
    inside = "\n".join(f"* {line}" for line in _inside(config, trainings, language))
    used = "\n".join(f"* {line}" for line in (*_used(config), *notes))
    stated = "" if facts.license else f"\n{UNSTATED}\n"
    together = ", with the language model that was trained with them" if language else ""
    return f"""---
{_front(facts, trainings, language, name)}
---
# {title}

Semantic Router and Image Router (arXiv 2605.05848) for one base model{together}.
The base itself is not in this folder.
{stated}
## What is inside

{inside}

## How it is used

{used}

```python
from videorouter import VideoRouter

router = VideoRouter.from_pretrained("{HERE}")
print(router.answer("video.mp4", "What happens after the red car stops?").text)
```

## Trainings

{sections}"""


def card_on_the_hub(card: str, repo_id: str, base: BaseFacts, language: LanguageInside | None) -> str:
    """The card as it is pushed to `repo_id`: base and licence are those of `base`, as far as they are known.

    Everything else, also what its owner wrote into it, stays. Raises `ValueError` for front matter that is no YAML.
    """
    from huggingface_hub import ModelCard

    read = ModelCard(card, ignore_metadata_errors=True)
    told = base.front | {"base_model_relation": _relation(language), "model_name": repo_id.rpartition("/")[2]}
    if base.license is not None:
        told = {"license": None, "license_name": None, "license_link": None} | told
    for name, value in told.items():
        setattr(read.data, name, value)
    read.text = read.text.replace(f'"{HERE}"', f'"{repo_id}"')
    return str(read)


def named_trainings(trainings: Sequence[Training]) -> Iterator[tuple[Training, str]]:
    """Each with its name among them."""
    return ((one, name) for name, one in named(trainings).items())


def _front(facts: BaseFacts, trainings: Sequence[Training], language: LanguageInside | None, name: str) -> str:
    from huggingface_hub import ModelCardData

    data_sets = [str(hub) for one in trainings for data in one.data if (hub := data.get("hub"))]
    results = [result for one in trainings for result in _results(one)]
    told: dict[str, Any] = facts.front | {"base_model_relation": _relation(language)}
    front = ModelCardData(
        **told,
        datasets=list(dict.fromkeys(data_sets)) or None,
        eval_results=results or None,
        library_name="videorouter",
        model_name=name if results else None,
        pipeline_tag=TASK,
        tags=["videorouter"],
    )
    return front.to_yaml()


def _relation(language: LanguageInside | None) -> str:
    """How the Hub calls it: whole layers take the base's place, all else stands beside it."""
    return "finetune" if language is not None and language.mode == "full" else "adapter"


def _results(training: Training) -> Iterator["EvalResult"]:
    """Metrics as the Hub lists them, under the data set that was validated on."""
    from huggingface_hub import EvalResult

    if not training.data:
        return
    data = training.data[0]
    for name, value in training.finite_metrics.items():
        kind = next((hub for ours, hub in METRIC_TYPES.items() if name.endswith(f"_{ours}")), None)
        if kind is not None:
            yield EvalResult(
                task_type=TASK,
                dataset_type=data.get("hub") or _name(data),
                dataset_name=_name(data),
                dataset_split=training.split,
                dataset_args={"fingerprint": data["fingerprint"]},
                metric_type=kind,
                metric_name=name,
                metric_value=value,
            )


def _inside(config: "RouterConfig", trainings: Sequence[Training], language: LanguageInside | None) -> Iterator[str]:
    below = {
        "frozen": "read the base's own",
        "lora": "read the base's own, with adapters",
        "full": "read a copy of their own of the",
    }
    for router, shadow in (("Semantic", config.semantic_shadow), ("Image", config.image_shadow)):
        yield (
            f"`model.safetensors`: the {router} Router's head, {config.hidden} wide; it {below[shadow.mode]} "
            f"first {config.shadow_layers} decoder layers{f' of rank {shadow.rank}' if shadow.mode == 'lora' else ''}"
        )
    if language is not None:
        yield str(language)
    else:
        yield "no weights of the language model: the base's answer as they are"
    revision = f", revision `{config.base.revision}`" if config.base.revision else ""
    yield f"the base is known by its weights: sha256 `{config.base.sha256}`{revision}"
    settings = [f"`training-{name}.yaml`" for one, name in named_trainings(trainings) if one.settings is not None]
    if settings:
        yield f"settings of every training: {', '.join(settings)}"


def _used(config: "RouterConfig") -> Iterator[str]:
    scales = config.scales
    yield (
        f"scales (global; relevant, irrelevant): ({scales.global_scale}; {scales.relevant_scale}, {scales.irrelevant_scale})"
    )
    yield f"{config.frames} frames a video ({config.sampler}), budget {config.budget} visual tokens"
    yield f"a frame is relevant above {config.threshold}"
    for kind in (config.routing, config.prompt, config.shape):
        usual = type(kind)()
        for name, value in vars(kind).items():
            if value != getattr(usual, name):
                yield f"{name}: {value!r}"


def _training(training: Training, name: str) -> str:
    title = f"{STAGES.get(training.stage, training.stage)}{'' if name == training.stage else f' ({name})'}"
    at = "" if training.step is None else f"Weights of step {training.step}. "
    if training.metrics:
        when = "" if training.validated_at is None else f" at step {training.validated_at}"
        rows = "\n".join(f"| {metric} | {value:.4f} |" for metric, value in sorted(training.metrics.items()))
        measured = f"Validated{when}:\n\n| metric | value |\n|---|---|\n{rows}"
    else:
        measured = "No metrics were recorded with these weights."
    origins = "\n".join(f"* {_origin(data)}" for data in training.data)
    return f"### {title}\n\n{at}{measured}\n\n{f'Trained on:{chr(10)}{chr(10)}{origins}{chr(10)}' if origins else ''}"


def _origin(data: Mapping[str, Any]) -> str:
    where = f"[{data['hub']}](https://huggingface.co/datasets/{data['hub']})" if data.get("hub") else f"`{_name(data)}`"
    licences = ", ".join(data["licences"]) or "none stated"
    return f"{where}, fingerprint `{data['fingerprint']}`; licences of its questions: {licences}"


def _name(data: Mapping[str, Any]) -> str:
    """The last part of a data set's address: the rest is where it lay."""
    return PurePosixPath(str(data["folder"]).rstrip("/")).name or "shards"
