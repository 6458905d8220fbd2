"""Another toolkit's answers in our terms: what its files say of an answered question, and the item of ours that it answers."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from videorouter.eval.benchmarks.items import Item
from videorouter.routers.answering.parser import parse_choice
from videorouter.routers.systems.query import letters

DIMENSIONS: Final = (
    "duration", "duration_group", "domain", "category", "sub_category", "task_type", "task_category", "question_category",
    "question_type", "type", "kind",
)  # fmt: skip
VIDEO_NAMES: Final = ("videoID", "video_id", "video_name", "video_path", "video")
_SPACE: Final = re.compile(r"\s+")


class UnreadableError(Exception):
    """A line that cannot be read; its text is a reason of few words, by which such lines are counted."""


@dataclass(frozen=True)
class ForeignAnswer:
    """One answered question. `video` is None where the file does not name it; `answer` is a letter.

    `text` is None where the toolkit got no answer; `right` is the toolkit's own judgement, None where it gave none.
    """

    id: str
    video: str | None
    question: str
    options: tuple[str, ...]
    answer: str
    groups: dict[str, str]
    text: str | None
    right: bool | None


@dataclass
class Reading:
    """The answers of all files in order; `lines` counts those read, `broken` the unreadable ones by reason.

    `about` is what the toolkit says about the run.
    """

    answers: list[ForeignAnswer] = field(default_factory=list)
    lines: int = 0
    broken: Counter[str] = field(default_factory=Counter)
    about: dict[str, Any] = field(default_factory=dict)


def letter_of(target: str, options: tuple[str, ...]) -> str:
    """The letter that a toolkit's target means: a letter, an option, or an option's number from 0. Raises `UnreadableError`."""
    if not options:
        raise UnreadableError("no options: not a multiple-choice question")
    chosen = parse_choice(target, options)
    if chosen is None and target.strip().isdigit() and int(target) < len(options):
        chosen = letters(options)[int(target)]
    if chosen is None:
        raise UnreadableError("the right answer is none of the options")
    return chosen


def groups_of(row: Mapping[str, Any]) -> dict[str, str]:
    """The known dimensions among a row's values, at least one."""
    found = {name: str(row[name]) for name in DIMENSIONS if isinstance(row.get(name), str | int) and row[name] != ""}
    return found or {"all": "all"}


class KnownItems:
    """The items of a benchmark, found by question and options, and by video where several are worded alike."""

    def __init__(self, items: Sequence[Item]) -> None:
        self._by_words: dict[tuple[str, ...], list[Item]] = {}
        for item in items:
            self._by_words.setdefault(_words(item.question, item.options), []).append(item)

    def find(self, answer: ForeignAnswer) -> Item:
        """The item that was answered. Raises `UnreadableError` where there is none, several, or one with another right answer."""
        found = self._by_words.get(_words(answer.question, answer.options), [])
        if not found:
            raise UnreadableError("no question of the run beside is worded like it")
        if answer.video is not None:
            found = [item for item in found if item.video.stem == _stem(answer.video)]
            if not found:
                raise UnreadableError("the run beside asks it about another video")
        if len(found) > 1:
            raise UnreadableError("several questions of the run beside are worded like it, and its video is not known")
        if found[0].answer != answer.answer:
            raise UnreadableError("the run beside knows another right answer")
        return found[0]


def item_of(answer: ForeignAnswer) -> Item:
    """An item made of the foreign file's own fields. Raises `UnreadableError` where it does not name the video."""
    if answer.video is None:
        raise UnreadableError("its video is not named")
    return Item(answer.id, Path(answer.video), answer.question, answer.options, answer.answer, answer.groups)


def _words(question: str, options: Sequence[str]) -> tuple[str, ...]:
    return tuple(_SPACE.sub(" ", text).strip().casefold() for text in (question, *options))


def _stem(video: str) -> str:
    """Toolkits name videos with and without a suffix."""
    name = Path(video).name
    return name.rsplit(".", 1)[0] if re.search(r"\.(mp4|mkv|webm|avi|mov|gif)$", name, re.IGNORECASE) else name
