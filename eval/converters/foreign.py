"""What is read from another toolkit's files, in terms of ours, and what could not be read."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from videorouter.routers.answers import letters, parse_choice

DIMENSIONS: Final = (
    "duration", "duration_group", "domain", "category", "sub_category", "task_type", "task_category", "question_category",
    "question_type", "type", "kind",
)  # fmt: skip
VIDEO_NAMES: Final = ("videoID", "video_id", "video_name", "video_path", "video")


class UnreadableError(Exception):
    """A line that cannot be read; its text is a reason of few words, by which such lines are counted."""


@dataclass(frozen=True)
class ForeignAnswer:
    """One answered question. `video` is None where the file does not say; `answer` is a letter.

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
    """The answers of all files in order; `lines` were seen, and how many were `broken` for each reason."""

    answers: list[ForeignAnswer] = field(default_factory=list)
    lines: int = 0
    broken: Counter[str] = field(default_factory=Counter)
    about: dict[str, Any] = field(default_factory=dict)
    """What the toolkit says about the run."""


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
