"""Videos and lessons as token ids: the frames once, then every lesson as a row that continues from them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedTokenizerBase

from videorouter.miniature.pretraining.lessons import Lesson, Pointer
from videorouter.miniature.pretraining.random_compression import FedFrame

IGNORED = -100


@dataclass(frozen=True)
class Packed:
    """One video with its Q lessons, laid out as the backbone's prompt is.

    `frames` `[P]` ids up to the last frame's line; in it `visual` indexes the visual tokens, `ends` each `</img>`.
    `lessons` and `targets` `[Q, L]`, padded on the right: `targets[q, i]` is the token to be predicted at i. `pointing`
    holds (lesson, position) of each pointer in order; `choosing` (lesson, position, position of the right
    option's last token) of each letter to be named; `lettering` (lesson, position of an option's last token, position of its
    letter).
    """

    frames: Tensor
    visual: Tensor
    ends: Tensor
    lessons: Tensor
    targets: Tensor
    pointing: list[tuple[int, int]]
    choosing: list[tuple[int, int, int]]
    lettering: list[tuple[int, int, int]]


class Packer:
    """Lays out videos and lessons with one tokenizer."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.tokenizer = tokenizer
        self.ids = cache(self._ids)
        self.image, self.image_end, self.end = (
            self._ids(text)[0] for text in ("<IMG_CONTEXT>", "</img>", "<|im_end|>")
        )

    def pack(self, frames: Sequence[FedFrame], lessons: Sequence[Lesson]) -> Packed:
        """`frames` are those fed, in order, each with the number of tokens it gives."""
        ids = [*self.ids("<|im_start|>user\n")]
        for number, frame in enumerate(frames, start=1):
            ids += [*self.ids(f"Frame-{number}: <img>"), *[self.image] * frame.tokens, *self.ids("</img>\n")]
        sequence = torch.tensor(ids)
        rows = [self._row(lesson) for lesson in lessons]
        return Packed(
            sequence,
            visual=(sequence == self.image).nonzero().flatten(),
            ends=(sequence == self.image_end).nonzero().flatten(),
            lessons=pad_sequence([torch.tensor(row.ids) for row in rows], batch_first=True),
            targets=pad_sequence([torch.tensor(row.targets) for row in rows], batch_first=True, padding_value=IGNORED),
            pointing=[
                (number, self._reader(lesson, row, pointer))
                for number, (lesson, row) in enumerate(zip(lessons, rows, strict=True))
                for pointer in lesson.pointers
            ],
            choosing=[
                (number, row.before[piece], self._options(lesson)[option][1])
                for number, (lesson, row) in enumerate(zip(lessons, rows, strict=True))
                for piece, option in lesson.choices
            ],
            lettering=[
                (number, end, letter) for number, lesson in enumerate(lessons) for letter, end in self._options(lesson)
            ],
        )

    def _row(self, lesson: Lesson) -> "_Row":
        ids = [*self._ids(lesson.text), *self.ids("<|im_end|>\n<|im_start|>assistant\n")]
        learned = [False] * len(ids)
        before = []
        for text, wanted in (*lesson.answer, ("<|im_end|>", True)):
            before.append(len(ids) - 1)
            ids += self.ids(text)
            learned += [wanted] * (len(ids) - len(learned))
        targets = [i if wanted else IGNORED for i, wanted in zip(ids[1:], learned[1:], strict=True)]
        return _Row(ids, [*targets, IGNORED], before)

    def _reader(self, lesson: Lesson, row: "_Row", pointer: Pointer) -> int:
        if pointer.piece is not None:
            return row.before[pointer.piece]
        if pointer.option is not None:
            return self._options(lesson)[pointer.option][1]
        return len(self._ids(lesson.question)) - 1

    def _options(self, lesson: Lesson) -> list[tuple[int, int]]:
        """Positions of each option's letter and last token within the lesson's text."""
        if not lesson.options:
            return []
        head, tail = lesson.text.split("Options:\n")
        lines = tail.split("\n")[: len(lesson.options)]
        starts = [
            len(self._ids(f"{head}Options:\n" + "".join(f"{line}\n" for line in lines[:n])))
            for n in range(len(lines) + 1)
        ]
        return [(start + 1, following - 2) for start, following in pairwise(starts)]  # "(" "A" ")" ... "\n"

    def _ids(self, text: str) -> tuple[int, ...]:
        return tuple(self.tokenizer(text, add_special_tokens=False).input_ids)


@dataclass(frozen=True)
class _Row:
    """One lesson's ids and targets, and the position before each piece of its answer."""

    ids: list[int]
    targets: list[int]
    before: list[int]
