"""Where attention should go and what states should tell while language is learned. What sharpness a frame has plays no part."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from videorouter.miniature.pretraining.attention import AttentionRecord
from videorouter.miniature.pretraining.lesson_videos import LessonVideo
from videorouter.miniature.pretraining.lessons import Lesson
from videorouter.miniature.pretraining.packing import Packed
from videorouter.miniature.pretraining.random_compression import FedFrame
from videorouter.miniature.world.frame import GRID
from videorouter.miniature.world.scenes import MOST_REPEATS

CELLS = GRID[0] * GRID[1]
LEAST = 1e-6
"""Floor of an attention weight before its logarithm."""
LETTERING_LAYER, LOOKING_LAYER, CHOOSING_LAYER = 1, 3, 4
"""Decoder layers (from 0) whose first head is shown where to look: from an option's end at its letter; at what is asked about
(within the routers' four layers); from the answer at the end of the right option."""
RECALLING_LAYER = 2
"""Its first head looks from each frame's end back at the first frames of all scenes with the same coloured shape, and at the
first token: the share left to that says how many there were."""
COUNTING_HEAD = 1
"""Head of the looking layer that looks at the end of the last scene asked about, which knows how many there were."""
SURVEYING_HEAD = 2
"""Head of the looking layer that looks at every frame alike, where shares are asked about: a head that must also be sharp
elsewhere weighs them unevenly."""
KNOWN_AFTER = 3
"""The layer after which a frame's end knows how often its coloured shape was shown before, and each token of a full frame its
cell: by its order in the frame alone, which is hard to tell among frames of other lengths."""


class AuxiliaryHeads(nn.Module):
    """Readings of hidden states that guide the layers while they learn; thrown away afterwards."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.count_heads = nn.ModuleDict({"fresh": nn.Linear(width, 1), "occurrence": nn.Linear(width, MOST_REPEATS)})
        self.cell_head = nn.Linear(width, CELLS)


@dataclass(frozen=True)
class Example:
    """A video as it is fed, with its lessons."""

    video: LessonVideo
    fed: list[FedFrame]
    lessons: list[Lesson]
    packed: Packed


@dataclass(frozen=True)
class ForwardPass:
    """What a pass over V videos with Q lessons leaves.

    `known` `[V, P, D]`: states of the frames after layer `KNOWN_AFTER`; what was attended to in the frames and in the `V * Q`
    lessons; `said` `[V, Q, L, D]`: last states of the lessons.
    """

    known: Tensor
    frames: AttentionRecord
    lessons: AttentionRecord
    said: Tensor


def auxiliary_losses(heads: AuxiliaryHeads, one: Example, read: ForwardPass, row: int) -> dict[str, Tensor]:
    """Losses by name for the video in row `row` of a pass."""
    losses = {}
    packed, before = one.packed, len(one.packed.frames)

    def logs(layer: int, head: int, readers: Tensor) -> Tensor:
        """Logarithms of one head's weights `[n, P + L]`, readers (lesson, position) `[n, 2]`."""
        return read.lessons.weights(layer, head, row, readers[:, 1], readers[:, 0]).clamp_min(LEAST).log()

    def missed(layer: int, wanted: Sequence[tuple[int, int, int]]) -> Tensor:
        """Mean -log weight of the first head from (lesson, reader) to one of the lesson's tokens."""
        found = torch.tensor(wanted)
        return -logs(layer, 0, found[:, :2]).gather(1, before + found[:, 2:]).mean()

    if packed.pointing:
        readers = torch.tensor(packed.pointing)
        surveys = torch.tensor([lesson.surveys for lesson in one.lessons for _ in lesson.pointers])
        surveyed, looked = (logs(LOOKING_LAYER, head, readers)[:, :before] for head in (SURVEYING_HEAD, 0))
        losses["look"] = _divergence(_wanted(one), torch.where(surveys[:, None], surveyed, looked))
        counted = _last_ends(one)
        if counted:
            counting, ends = torch.tensor(counted).T
            losses["count"] = -logs(LOOKING_LAYER, COUNTING_HEAD, readers[counting]).gather(1, ends[:, None]).mean()
    if packed.choosing:
        losses["choose"] = missed(CHOOSING_LAYER, packed.choosing)
        losses["letter"] = missed(LETTERING_LAYER, packed.lettering)
    full = torch.cat([torch.full((frame.tokens,), frame.tokens == CELLS) for frame in one.fed])
    if full.any() and not full.all():
        told = heads.cell_head(read.known[row, packed.visual[full]].float())
        losses["cell"] = functional.cross_entropy(told, torch.arange(CELLS).repeat(int(full.sum()) // CELLS))
    if len(one.fed) == len(one.video.pictures):
        states = read.known[row, packed.ends].float()
        fresh = heads.count_heads["fresh"](states)[:, 0]
        losses["fresh"] = functional.binary_cross_entropy_with_logits(fresh, torch.tensor(one.video.fresh).float())
        occurrence = heads.count_heads["occurrence"](states)
        losses["occurrence"] = functional.cross_entropy(occurrence, torch.tensor(one.video.occurrences))
        recalled = read.frames.weights(RECALLING_LAYER, 0, row, packed.ends)[:, [0, *packed.ends.tolist()]]
        losses["recall"] = _divergence(_earlier(one.video), recalled.clamp_min(LEAST).log())
    return losses


def _earlier(video: LessonVideo) -> Tensor:
    """From each frame, a distribution over the first token and the first frames of its coloured shape's scenes so far.

    `[T, 1 + T]`.
    """
    figures = torch.tensor([video.first_with_figure(frame) for frame in range(len(video.scene_of))])
    same = (figures[:, None] == figures[None, :]) & torch.tensor(video.fresh)
    wanted = torch.cat([torch.ones(len(figures), 1), same.tril().float()], dim=1)
    return wanted / wanted.sum(1, keepdim=True)


def _last_ends(one: Example) -> list[tuple[int, int]]:
    """For each pointer of a lesson that counts: its number and the position of `</img>` of the last frame to be counted,
    of the first token of all where there is none."""
    kept = [frame.frame for frame in one.fed]
    pointers = [(lesson.counts, pointer) for lesson in one.lessons for pointer in lesson.pointers]
    found = []
    for number, (counts, pointer) in enumerate(pointers):
        shown = [place for place, frame in enumerate(kept) if frame in pointer.frames]
        if counts:
            found.append((number, int(one.packed.ends[shown[-1]]) if shown else 0))
    return found


def _wanted(one: Example) -> Tensor:
    """Where each pointer's reader should look: a distribution over the frames' ids, `[pointers, P]`."""
    frame_of = torch.cat([torch.full((frame.tokens,), frame.frame) for frame in one.fed])
    covers = torch.cat([frame.covers for frame in one.fed])
    pointers = [pointer for lesson in one.lessons for pointer in lesson.pointers]
    wanted = torch.zeros(len(pointers), len(one.packed.frames))
    for row, pointer in zip(wanted, pointers, strict=True):
        relevant = torch.isin(frame_of, torch.tensor(pointer.frames, dtype=torch.long))
        if pointer.cell is not None:
            relevant &= covers[:, pointer.cell]
        row[one.packed.visual[relevant] if relevant.any() else 0] = 1.0
    return wanted / wanted.sum(1, keepdim=True)


def _divergence(wanted: Tensor, logs: Tensor) -> Tensor:
    """Mean Kullback-Leibler divergence of weights from wanted ones, `[n, P]` each, the former as logarithms."""
    return functional.kl_div(logs, wanted, reduction="none").sum(1).mean()
