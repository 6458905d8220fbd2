"""Stage two: sight is frozen, the language model learns to answer about what it sees, from short videos to long ones."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import torch
from rich.progress import Progress
from torch import Tensor, nn
from torch.nn import functional
from transformers import DynamicCache, InternVLForConditionalGeneration, PreTrainedTokenizerBase

from miniature.pretraining.lessons import Lesson, LessonVideo, draw_video, lessons
from miniature.pretraining.optimisation import WARM_UP, optimisers, step
from miniature.pretraining.packing import IGNORED, Packed, Packer
from miniature.pretraining.scenery import Scenery
from miniature.pretraining.thinning import SeenFrame, thinned, whole
from miniature.scenes import MOST_REPEATS

LEAST = 1e-6
"""Floor of an attention weight before its logarithm."""
LETTERING_LAYER, LOOKING_LAYER, CHOOSING_LAYER = 1, 3, 4
"""Decoder layers (from 0) whose first head is shown where to look: from an option's end at its letter; at what is asked about
(within the routers' four layers); from the answer at the end of the right option."""
COUNTED_AFTER = 4
"""The layer after which a frame knows how often its coloured shape was shown before."""


@dataclass(frozen=True)
class Course:
    """One part of the stage: `steps` updates of `videos` videos with `lessons` lessons each.

    A share `drills` of the lessons are drills and a share `tallies` of these tallies, of which a share `comparisons` are of
    backgrounds. Each update draws its number of frames from the closed range `shortest`..`longest`. `rate` is the learning
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

    def factor(self, number: int) -> float:
        """Of the rate, at update `number`: warm-up, then the way to `ending`."""
        return min(1.0, (number + 1) / WARM_UP) * (1 + (self.ending - 1) * number / self.steps)


class Guides(nn.Module):
    """Readings of hidden states that guide the layers while they learn; thrown away afterwards."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.count_heads = nn.ModuleDict({"fresh": nn.Linear(width, 1), "occurrence": nn.Linear(width, MOST_REPEATS)})


@dataclass(frozen=True)
class Drawn:
    """A video as it is fed, with its lessons."""

    video: LessonVideo
    seen: list[SeenFrame]
    lessons: list[Lesson]
    packed: Packed


class LanguageCourse:
    """Draws videos and lessons, and computes the losses of a batch of them."""

    def __init__(
        self,
        model: InternVLForConditionalGeneration,
        tokenizer: PreTrainedTokenizerBase,
        scenery: Scenery,
        guides: Guides,
        random: Random,
        *,
        robust: bool,
    ) -> None:
        self.model, self.scenery, self.guides, self.random, self.robust = model, scenery, guides, random, robust
        self.packer = Packer(tokenizer)

    def draw(self, course: Course, frames: int) -> Drawn:
        video = draw_video(self.random, self.scenery, frames)
        tokens = self.scenery.frames(list(video.pictures))
        seen = thinned(self.random, tokens) if self.robust else whole(tokens)
        asked = list(lessons(self.random, video, course.lessons, course.drills, course.tallies, course.comparisons))
        return Drawn(video, seen, asked, self.packer.pack(seen, asked))

    def losses(self, drawn: Sequence[Drawn]) -> tuple[dict[str, Tensor], dict[str, list[float]]]:
        """Losses by name, and for each kind of lesson the share of its learned tokens that were right, a value a lesson."""
        found: dict[str, list[Tensor]] = defaultdict(list)
        rights: dict[str, list[float]] = defaultdict(list)
        for some in _alike(drawn):
            read = self._read(some)
            for row, one in enumerate(some):
                targets = one.packed.targets
                learned = targets != IGNORED
                scores = read.logits[row][:, : targets.shape[1]][learned]
                found["answer"].append(functional.cross_entropy(scores, targets[learned]))
                for name, loss in self._guidance(one, read, row).items():
                    found[name].append(loss)
                right = torch.full(targets.shape, float("nan"))
                right[learned] = (scores.argmax(-1) == targets[learned]).float()
                for lesson, values in zip(one.lessons, right, strict=True):
                    rights[lesson.kind].append(values[~values.isnan()][:-1].mean().item())
        return {name: torch.stack(losses).mean() for name, losses in found.items()}, rights

    def _read(self, some: Sequence[Drawn]) -> "_Read":
        """Run videos of equal layout: the frames once, then all lessons from their keys and values."""
        inner = self.model.model
        stack, embed = inner.language_model, inner.language_model.embed_tokens
        most = max(one.packed.lessons.shape[1] for one in some)
        lessons = torch.stack(
            [functional.pad(one.packed.lessons, (0, most - one.packed.lessons.shape[1])) for one in some]
        )
        videos, count = lessons.shape[:2]
        with torch.autocast("cpu", torch.bfloat16):
            shown = embed(torch.stack([one.packed.frames for one in some]))
            for row, one in enumerate(some):
                shown[row, one.packed.visual] = torch.cat([frame.embeddings for frame in one.seen])
            cache = DynamicCache(config=stack.config)
            frames = stack(inputs_embeds=shown, past_key_values=cache, use_cache=True, output_hidden_states=True)
            cache.batch_repeat_interleave(count)
            asked = stack(
                inputs_embeds=embed(lessons.flatten(0, 1)),
                past_key_values=cache,
                use_cache=True,
                output_attentions=True,
            )
            logits = self.model.lm_head(asked.last_hidden_state)
        return _Read(
            counted=frames.hidden_states[COUNTED_AFTER],
            looking=asked.attentions[LOOKING_LAYER][:, 0].unflatten(0, (videos, count)),
            lettering=asked.attentions[LETTERING_LAYER][:, 0].unflatten(0, (videos, count)),
            choosing=asked.attentions[CHOOSING_LAYER][:, 0].unflatten(0, (videos, count)),
            logits=logits.float().unflatten(0, (videos, count)),
        )

    def _guidance(self, one: Drawn, read: "_Read", row: int) -> dict[str, Tensor]:
        losses = {}
        packed, before = one.packed, len(one.packed.frames)
        if packed.pointing:
            lessons, places = torch.tensor(packed.pointing).T
            looked = read.looking[row][lessons, places].float().clamp_min(LEAST).log()
            losses["look"] = -(self._wanted(one) * looked[:, :before]).sum(1).mean()
        if packed.choosing:
            losses["choose"] = _attention_loss(read.choosing[row], packed.choosing, before)
            losses["letter"] = _attention_loss(read.lettering[row], packed.lettering, before)
        if len(one.seen) == len(one.video.pictures):
            counting = read.counted[row, packed.ends].float()
            fresh = self.guides.count_heads["fresh"](counting)[:, 0]
            losses["fresh"] = functional.binary_cross_entropy_with_logits(fresh, torch.tensor(one.video.fresh).float())
            occurrence = self.guides.count_heads["occurrence"](counting)
            losses["occurrence"] = functional.cross_entropy(occurrence, torch.tensor(one.video.occurrences))
        return losses

    @staticmethod
    def _wanted(one: Drawn) -> Tensor:
        """Where each pointer's reader should look: a distribution over the frames' ids, `[pointers, P]`."""
        frame_of = torch.cat([torch.full((frame.tokens,), frame.frame) for frame in one.seen])
        covers = torch.cat([frame.covers for frame in one.seen])
        pointers = [pointer for lesson in one.lessons for pointer in lesson.pointers]
        wanted = torch.zeros(len(pointers), len(one.packed.frames))
        for row, pointer in zip(wanted, pointers, strict=True):
            relevant = torch.isin(frame_of, torch.tensor(pointer.frames, dtype=torch.long))
            if pointer.cell is not None:
                relevant &= covers[:, pointer.cell]
            row[one.packed.visual[relevant] if relevant.any() else 0] = 1.0
        return wanted / wanted.sum(1, keepdim=True)


@dataclass(frozen=True)
class _Read:
    """What a pass over V videos with Q lessons leaves.

    `counted` `[V, P, D]`; attention of three heads `[V, Q, L, P + L]`; `logits` `[V, Q, L, vocabulary]`.
    """

    counted: Tensor
    lettering: Tensor
    looking: Tensor
    choosing: Tensor
    logits: Tensor


def _attention_loss(attention: Tensor, wanted: Sequence[tuple[int, int, int]], before: int) -> Tensor:
    """Mean -log weight from (lesson, reader) to the token that follows `before` others; `attention` is `[Q, L, P + L]`."""
    lessons, readers, tokens = torch.tensor(wanted).T
    return -attention[lessons, readers, before + tokens].float().clamp_min(LEAST).log().mean()


def _alike(drawn: Sequence[Drawn]) -> list[list[Drawn]]:
    """Videos grouped by the number of ids their frames take, so that a group is one batch."""
    groups: dict[int, list[Drawn]] = defaultdict(list)
    for one in drawn:
        groups[len(one.packed.frames)].append(one)
    return list(groups.values())


def train_language(
    learner: LanguageCourse, course: Course, progress: Progress, name: str, report_every: int = 100
) -> list[dict[str, float]]:
    """Train the language model in place through one course; a row of mean losses and accuracies every so many steps."""
    language = learner.model.model.language_model
    learning = nn.ModuleList([language, nn.ModuleDict({"heads": learner.model.lm_head}), learner.guides]).train()
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
            progress.console.print(name, *(f"{key}={value:g}" for key, value in rows[-1].items()), soft_wrap=True)
            sums.clear()
        progress.update(task, advance=1, note=f"{frames} frames, answer {losses['answer'].item():.3f}")
    learning.eval()
    return rows
