"""Where attention should go and what states should tell while language is learned. What sharpness a frame has plays no part."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from miniature.pretraining.lessons import Lesson, LessonVideo
from miniature.pretraining.packing import Packed
from miniature.pretraining.thinning import SeenFrame
from miniature.scenes import MOST_REPEATS

LEAST = 1e-6
"""Floor of an attention weight before its logarithm."""
LETTERING_LAYER, LOOKING_LAYER, CHOOSING_LAYER = 1, 3, 4
"""Decoder layers (from 0) whose first head is shown where to look: from an option's end at its letter; at what is asked about
(within the routers' four layers); from the answer at the end of the right option."""
RECALLING_LAYER = 2
"""Its first head looks from each frame's end back at the first frames of all scenes with the same coloured shape, and at the
first token: the share left to that says how many there were."""
RECALLED_FRAMES = 48
"""Longer videos go without this guide."""
COUNTING_HEAD = 1
"""Head of the looking layer that looks at the end of the last scene asked about, which knows how many there were."""
SURVEYING_HEAD = 2
"""Head of the looking layer that looks at every frame alike, where shares are asked about: a head that must also be sharp
elsewhere weighs them unevenly."""
COUNTED_AFTER = 3
"""The layer after which a frame's end knows how often its coloured shape was shown before."""


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


@dataclass(frozen=True)
class Read:
    """What a pass over V videos with Q lessons leaves.

    `counted` `[V, P, D]`; attention of one head `[V, P, P]`, then of five `[V, Q, L, P + L]`; `logits` `[V, Q, L, vocabulary]`.
    """

    counted: Tensor
    recalling: Tensor | None
    lettering: Tensor
    looking: Tensor
    counting: Tensor
    surveying: Tensor
    choosing: Tensor
    logits: Tensor


def guidance(guides: Guides, one: Drawn, read: Read, row: int) -> dict[str, Tensor]:
    """Losses by name for the video in row `row` of a pass."""
    losses = {}
    packed, before = one.packed, len(one.packed.frames)
    if packed.pointing:
        lessons, places = torch.tensor(packed.pointing).T
        surveys = torch.tensor([lesson.surveys for lesson in one.lessons for _ in lesson.pointers])
        heads = torch.where(surveys[:, None], read.surveying[row][lessons, places], read.looking[row][lessons, places])
        looked = heads.float().clamp_min(LEAST).log()
        losses["look"] = -(_wanted(one) * looked[:, :before]).sum(1).mean()
        counted = _last_ends(one)
        if counted:
            rows, ends = torch.tensor(counted).T
            weights = read.counting[row][lessons[rows], places[rows], ends]
            losses["count"] = -weights.float().clamp_min(LEAST).log().mean()
    if packed.choosing:
        losses["choose"] = _attention_loss(read.choosing[row], packed.choosing, before)
        losses["letter"] = _attention_loss(read.lettering[row], packed.lettering, before)
    if len(one.seen) == len(one.video.pictures):
        counting = read.counted[row, packed.ends].float()
        fresh = guides.count_heads["fresh"](counting)[:, 0]
        losses["fresh"] = functional.binary_cross_entropy_with_logits(fresh, torch.tensor(one.video.fresh).float())
        occurrence = guides.count_heads["occurrence"](counting)
        losses["occurrence"] = functional.cross_entropy(occurrence, torch.tensor(one.video.occurrences))
        if read.recalling is None:
            return losses
        recalled = read.recalling[row][packed.ends][:, [0, *packed.ends.tolist()]].float().clamp_min(LEAST).log()
        losses["recall"] = -(_earlier(one.video) * recalled).sum(1).mean()
    return losses


def _earlier(video: LessonVideo) -> Tensor:
    """From each frame, a distribution over the first token and the first frames of its coloured shape's scenes so far.

    `[T, 1 + T]`.
    """
    figures = torch.tensor([video.first_with_figure(frame) for frame in range(len(video.scene_of))])
    same = (figures[:, None] == figures[None, :]) & torch.tensor(video.fresh)
    wanted = torch.cat([torch.ones(len(figures), 1), same.tril().float()], dim=1)
    return wanted / wanted.sum(1, keepdim=True)


def _last_ends(one: Drawn) -> list[tuple[int, int]]:
    """For each pointer of a lesson that counts: its number and the position of `</img>` of the last frame to be counted,
    of the first token of all where there is none."""
    kept = [frame.frame for frame in one.seen]
    pointers = [(lesson.counts, pointer) for lesson in one.lessons for pointer in lesson.pointers]
    found = []
    for number, (counts, pointer) in enumerate(pointers):
        shown = [place for place, frame in enumerate(kept) if frame in pointer.frames]
        if counts:
            found.append((number, int(one.packed.ends[shown[-1]]) if shown else 0))
    return found


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


def _attention_loss(attention: Tensor, wanted: Sequence[tuple[int, int, int]], before: int) -> Tensor:
    """Mean -log weight from (lesson, reader) to the token that follows `before` others; `attention` is `[Q, L, P + L]`."""
    lessons, readers, tokens = torch.tensor(wanted).T
    return -attention[lessons, readers, before + tokens].float().clamp_min(LEAST).log().mean()
