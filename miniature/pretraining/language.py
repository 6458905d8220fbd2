"""Stage two: sight is frozen, the language model learns to answer about what it sees, from short videos to long ones."""

import logging
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import torch
from rich.progress import Progress
from torch import Tensor, nn
from torch.nn import functional
from transformers import InternVLForConditionalGeneration, PreTrainedTokenizerBase

from videorouter.miniature.pretraining.attention import OVER_FRAMES, AttentionRecord
from videorouter.miniature.pretraining.auxiliary_losses import (
    CHOOSING_LAYER,
    KNOWN_AFTER,
    LETTERING_LAYER,
    LOOKING_LAYER,
    RECALLING_LAYER,
    AuxiliaryHeads,
    Example,
    ForwardPass,
    auxiliary_losses,
)
from videorouter.miniature.pretraining.lesson_videos import SceneBank, draw_video
from videorouter.miniature.pretraining.lessons import lessons
from videorouter.miniature.pretraining.optimisation import WARM_UP, optimisers, step
from videorouter.miniature.pretraining.packing import IGNORED, Packer
from videorouter.miniature.pretraining.random_compression import compressed, whole

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Course:
    """One part of the stage: `steps` updates of `videos` videos with `lessons` lessons each.

    A share `drills` of the lessons are drills and a share `tallies` of these tallies, of which a share `comparisons` are of
    backgrounds; `hard` asks more of what is learned late. A share `spotlit` of compressed videos show some scenes in full and the
    rest coarsely. Each update draws its number of frames from the closed range `shortest`..`longest`. `rate` is the learning
    rate, which goes linearly to `rate * ending`.
    """

    shortest: int
    longest: int
    videos: int
    lessons: int
    drills: float
    steps: int
    rate: float
    ending: float = 1.0
    tallies: float = 0.0
    comparisons: float = 0.0
    hard: bool = False
    spotlit: float = 0.0

    def factor(self, number: int) -> float:
        """Of the rate, at update `number`: warm-up, then the way to `ending`."""
        return min(1.0, (number + 1) / WARM_UP) * (1 + (self.ending - 1) * number / self.steps)


class LanguageLearner:
    """Draws videos and lessons, and computes the losses of a batch of them."""

    def __init__(
        self,
        model: InternVLForConditionalGeneration,
        tokenizer: PreTrainedTokenizerBase,
        scenes: SceneBank,
        heads: AuxiliaryHeads,
        random: Random,
        *,
        robust: bool,
    ) -> None:
        self.model, self.scenes, self.heads, self.random, self.robust = model, scenes, heads, random, robust
        self.packer = Packer(tokenizer)
        model.model.language_model.set_attn_implementation(OVER_FRAMES)

    def draw(self, course: Course, frames: int) -> Example:
        video = draw_video(self.random, self.scenes, frames)
        tokens = self.scenes.frames(list(video.pictures))
        fed = compressed(self.random, tokens, video.scene_of, course.spotlit) if self.robust else whole(tokens)
        asked = list(
            lessons(self.random, video, course.lessons, course.drills, course.tallies, course.comparisons, course.hard)
        )
        return Example(video, fed, asked, self.packer.pack(fed, asked))

    def losses(self, examples: Sequence[Example]) -> tuple[dict[str, Tensor], dict[str, list[float]]]:
        """Losses by name, and for each kind of lesson the share of its learned tokens that were right, a value a lesson."""
        found: dict[str, list[Tensor]] = defaultdict(list)
        rights: dict[str, list[float]] = defaultdict(list)
        for some in _alike(examples):
            read = self._read(some)
            for row, one in enumerate(some):
                targets = one.packed.targets
                learned = targets != IGNORED
                scores = self.model.lm_head(read.said[row, :, : targets.shape[1]][learned]).float()
                found["answer"].append(functional.cross_entropy(scores, targets[learned]))
                for name, loss in auxiliary_losses(self.heads, one, read, row).items():
                    found[name].append(loss)
                right = torch.full(targets.shape, float("nan"))
                right[learned] = (scores.argmax(-1) == targets[learned]).float()
                for lesson, values in zip(one.lessons, right, strict=True):
                    rights[lesson.kind].append(values[~values.isnan()][:-1].mean().item())
        return {name: torch.stack(losses).mean() for name, losses in found.items()}, rights

    def _read(self, some: Sequence[Example]) -> ForwardPass:
        """Run videos of equal layout: the frames once, then all lessons from their keys and values."""
        inner = self.model.model
        stack, embed = inner.language_model, inner.language_model.embed_tokens
        most = max(one.packed.lessons.shape[1] for one in some)
        lessons = torch.stack(
            [functional.pad(one.packed.lessons, (0, most - one.packed.lessons.shape[1])) for one in some]
        )
        videos, count = lessons.shape[:2]
        with torch.autocast(lessons.device.type, torch.bfloat16):
            shown = embed(torch.stack([one.packed.frames for one in some]))
            for row, one in enumerate(some):
                shown[row, one.packed.visual] = torch.cat([frame.embeddings for frame in one.fed])
            recalled = AttentionRecord({RECALLING_LAYER})
            frames = stack(inputs_embeds=shown, use_cache=False, output_hidden_states=True, attended=recalled)
            asked = AttentionRecord({LETTERING_LAYER, LOOKING_LAYER, CHOOSING_LAYER}, recalled)
            positions = torch.arange(most)[None] + shown.shape[1]
            states = stack(
                inputs_embeds=embed(lessons.flatten(0, 1)), position_ids=positions, use_cache=False, attended=asked
            )
        said = states.last_hidden_state.unflatten(0, (videos, count))
        return ForwardPass(frames.hidden_states[KNOWN_AFTER], recalled, asked, said)


def _alike(examples: Sequence[Example]) -> list[list[Example]]:
    """Videos grouped by the number of ids their frames take, so that a group is one batch."""
    groups: dict[int, list[Example]] = defaultdict(list)
    for one in examples:
        groups[len(one.packed.frames)].append(one)
    return list(groups.values())


def train_language(
    learner: LanguageLearner, course: Course, progress: Progress, name: str, report_every: int = 100
) -> list[dict[str, float]]:
    """Train the language model in place through one course; a row of mean losses and accuracies every so many steps."""
    language = learner.model.model.language_model
    learning = nn.ModuleList([language, nn.ModuleDict({"heads": learner.model.lm_head}), learner.heads]).train()
    optimiser = optimisers(learning, course.rate)
    task = progress.add_task(name, total=course.steps, note="")
    rows: list[dict[str, float]] = []
    sums: dict[str, list[float]] = defaultdict(list)
    for number in range(course.steps):
        frames = learner.random.randint(course.shortest, course.longest)
        losses, rights = learner.losses([learner.draw(course, frames) for _ in range(course.videos)])
        step(optimiser, learning, sum(losses.values(), torch.zeros(())), course.factor(number))
        for loss_name, loss in losses.items():
            sums[f"loss {loss_name}"].append(loss.item())
        for kind, values in rights.items():
            sums[kind] += values
        if (number + 1) % report_every == 0 or number + 1 == course.steps:
            rows.append({"step": number + 1} | {key: round(sum(v) / len(v), 4) for key, v in sorted(sums.items())})
            _log.info("%s %s", name, " ".join(f"{key}={value:g}" for key, value in rows[-1].items()))
            sums.clear()
        progress.update(task, advance=1, note=f"{frames} frames, answer {losses['answer'].item():.3f}")
    learning.eval()
    return rows
