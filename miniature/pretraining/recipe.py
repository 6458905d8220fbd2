"""`videorouter miniature train-base`: both bases from nothing, with one recipe. docs/miniature.md describes what is shipped."""

import json
import logging
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any, Final

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from safetensors.torch import load_model, save_model
from torch import nn
from transformers import InternVLForConditionalGeneration, PreTrainedTokenizerFast

from videorouter.miniature.pretraining.auxiliary_losses import AuxiliaryHeads
from videorouter.miniature.pretraining.language import Course, LanguageLearner, train_language
from videorouter.miniature.pretraining.lesson_videos import build_scene_bank
from videorouter.miniature.pretraining.model import new_model, parameters_of, save_base, train_tokenizer
from videorouter.miniature.pretraining.optimisation import keep_freed_memory
from videorouter.miniature.pretraining.vision import train_vision
from videorouter.run_log import log_in

_log = logging.getLogger(__name__)

STAGES: Final = ("dense", "robust")
LONG: Final = Course(
    64, 64, 1, lessons=20, drills=0, tallies=0.5, comparisons=0.4, steps=0, rate=0, ending=0.02, hard=True
)
"""The last courses: videos as long as the world's own."""


@dataclass(frozen=True)
class Recipe:
    """Everything the bases are a function of, besides the libraries.

    Args:
        seed: of weights, pictures, videos and lessons
        sight_steps: updates of the vision tower and projector
        sight_pictures: pictures an update
        sight_rate: learning rate of sight
        pictures_per_look: encoded pictures of each background, colour and shape that language draws on
        dense: courses of the language model on whole frames
        robust: courses that continue on frames compressed at random
        examined: videos on which each base is examined
    """

    seed: int = 0
    sight_steps: int = 700
    sight_pictures: int = 64
    sight_rate: float = 3e-3
    pictures_per_look: int = 60
    dense: list[Course] = field(
        default_factory=lambda: [
            Course(1, 1, videos=4, lessons=12, drills=0.9, steps=500, rate=3e-3),
            Course(1, 8, 4, lessons=12, drills=0.8, tallies=0.2, comparisons=0.3, steps=1200, rate=3e-3),
            Course(4, 16, 3, lessons=12, drills=0.7, tallies=0.4, comparisons=0.3, steps=1000, rate=3e-3),
            Course(16, 32, 2, lessons=16, drills=0.7, tallies=0.5, comparisons=0.4, steps=800, rate=3e-3),
            Course(32, 64, 1, lessons=20, drills=0.6, tallies=0.5, comparisons=0.4, steps=1500, rate=2.5e-3),
            replace(LONG, drills=0.4, steps=2500, rate=2.5e-3),
        ]
    )
    robust: list[Course] = field(
        default_factory=lambda: [replace(LONG, drills=0.25, spotlit=0.6, steps=6000, rate=2e-3)]
    )
    examined: int = 20


def train_base(out: Path = Path("runs/miniature-base"), recipe: Recipe | None = None, device: str = "auto") -> None:
    """Train the bases `dense` and `robust` and write them as transformers folders with their log.

    A run that was interrupted goes on after its last finished part when it is started again.

    Args:
        out: Folder to write: dense/, robust/, training.json, and parts/ with the weights after each part.
        recipe: What to train with.
        device: torch device; auto takes a GPU where there is one.

    Raises:
        FileExistsError: where `out` already holds both bases.
        ValueError: where `out` holds the parts of another recipe.
    """
    recipe = recipe or Recipe()
    if (out / STAGES[-1] / "config.json").exists():
        raise FileExistsError(f"{out} already holds both bases: choose another --out or delete it")
    place = torch.device(("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device)
    with torch.device(place), log_in(out):
        _train(out, recipe, Log(out, recipe, place))


def _train(out: Path, recipe: Recipe, log: "Log") -> None:
    """All parts in order; tensors are made on the default device."""
    tokenizer = train_tokenizer()
    keep_freed_memory()
    torch.manual_seed(recipe.seed)
    model = new_model(tokenizer)
    heads = AuxiliaryHeads(model.lm_head.in_features)
    everything = nn.ModuleDict({"model": model, "guides": heads})
    with _progress() as progress:
        with log.part("sight", everything) as part:
            if not part.done:
                part.record(
                    accuracies=train_vision(
                        model,
                        part.random,
                        progress,
                        steps=recipe.sight_steps,
                        batch=recipe.sight_pictures,
                        rate=recipe.sight_rate,
                    )
                )
        scenes = build_scene_bank(
            model, Random(f"scenery {recipe.seed}"), progress, pictures_per_look=recipe.pictures_per_look
        )
        for stage in STAGES:
            plan = recipe.dense if stage == "dense" else recipe.robust
            for number, course in enumerate(plan, start=1):
                name = f"{stage} {number}"
                with log.part(name, everything) as part:
                    if not part.done:
                        learner = LanguageLearner(
                            model, tokenizer, scenes, heads, part.random, robust=stage == "robust"
                        )
                        part.record(rows=train_language(learner, course, progress, name))
            learner = LanguageLearner(model, tokenizer, scenes, heads, Random(f"examine {recipe.seed}"), robust=False)
            examined = examine(learner, plan[-1], recipe.examined)
            _log.info("%s: %s", stage, examined)
            log.add(f"{stage} examined", examined)
            if not (out / stage / "config.json").exists():
                _save(out / stage, model, tokenizer, stage, examined)


@torch.no_grad()
def examine(learner: LanguageLearner, course: Course, videos: int) -> dict[str, float]:
    """Share of right letters by kind of question, on fresh videos of whole frames in the seen wordings."""
    asked = replace(course, drills=0.0, hard=False)
    rights: dict[str, list[float]] = {}
    for _ in range(videos):
        _, found = learner.losses([learner.draw(asked, course.longest)])
        for kind, values in found.items():
            rights.setdefault(kind, []).extend(values)
    return {kind: sum(values) / len(values) for kind, values in sorted(rights.items())}


class Log:
    """What happened, on disk after every part; a finished part is taken from disk when the recipe is run again.

    Every part draws from a generator of its own and starts its optimizer afresh, so that an interruption changes nothing.
    """

    def __init__(self, out: Path, recipe: Recipe, device: torch.device) -> None:
        self.out, self.recipe = out, recipe
        self.path = out / "training.json"
        self.content: dict[str, Any] = {
            "recipe": asdict(recipe),
            "device": "cpu" if device.type == "cpu" else torch.cuda.get_device_name(device),
            "threads": torch.get_num_threads(),
            "versions": {"python": platform.python_version(), "torch": torch.__version__},
            "parts": {},
        }
        if self.path.exists():
            before = json.loads(self.path.read_text(encoding="utf-8"))
            if before["recipe"] != json.loads(json.dumps(asdict(recipe))):
                raise ValueError(f"{out} holds the parts of another recipe: choose another --out")
            self.content["parts"] = before["parts"]

    @contextmanager
    def part(self, name: str, model: nn.ModuleDict) -> Iterator["Part"]:
        """One part of the recipe: leaves its weights in `model`, whether trained now or before."""
        weights = self.out / "parts" / f"{name.replace(' ', '-')}.safetensors"
        part = Part(Random(f"{name} {self.recipe.seed}"), done=name in self.content["parts"])
        if part.done:
            load_model(model, weights)
            yield part
            return
        torch.manual_seed(part.random.getrandbits(32))
        started = time.monotonic()
        yield part
        weights.parent.mkdir(parents=True, exist_ok=True)
        save_model(model, str(weights))
        self.content["parts"][name] = {"minutes": round((time.monotonic() - started) / 60, 2), **part.figures}
        self._write()

    def add(self, name: str, figures: dict[str, float]) -> None:
        self.content[name] = figures
        self._write()

    def _write(self) -> None:
        unfinished = self.path.with_suffix(".part")
        unfinished.write_text(json.dumps(self.content, indent=1) + "\n", encoding="utf-8")
        unfinished.replace(self.path)


@dataclass
class Part:
    """One part under way."""

    random: Random
    done: bool
    figures: dict[str, Any] = field(default_factory=dict)

    def record(self, **figures: Any) -> None:
        self.figures |= figures


def _save(
    out: Path,
    model: InternVLForConditionalGeneration,
    tokenizer: PreTrainedTokenizerFast,
    name: str,
    examined: dict[str, float],
) -> None:
    """Write a bfloat16 copy; the model itself goes on in float32."""
    weights = {key: value.to("cpu", torch.bfloat16) for key, value in model.state_dict().items()}
    with torch.device("cpu"):
        copy = new_model(tokenizer).bfloat16()
    copy.load_state_dict(weights)
    rows = "\n".join(f"| {kind} | {share:.3f} |" for kind, share in examined.items())
    card = _CARD.format(name=name, seen=_SEEN[name], parameters=parameters_of(model) / 1e6, rows=rows)
    save_base(out, copy, tokenizer, card)


def _progress() -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    return Progress(*columns, console=Console(markup=False))


_SEEN = {
    "dense": "It was trained on whole frames alone, as InternVL is.",
    "robust": (
        "It went on from `dense` with frames pooled and dropped and tokens dropped at random, independent of what is asked."
    ),
}
_CARD = """---
license: apache-2.0
library_name: transformers
pipeline_tag: video-text-to-text
---
# Miniature InternVL: `{name}`

`InternVLForConditionalGeneration` with {parameters:.1f} M parameters in bfloat16, trained from nothing on the miniature world of
VideoRouter: 112-pixel frames of coloured shapes among symbols, 16 tokens a frame, up to 64 frames. {seen}

It knows this world and nothing else. It exists so that routing, allocation and compression can be measured on a laptop.
Made by `videorouter miniature train-base`; recipe, log and measured figures are in docs/miniature.md of the project.

Share of right answers on fresh videos of whole frames, wordings as trained on:

| question | right |
| --- | --- |
{rows}
"""
