"""What follows the frames, in the wording of each benchmark: named, and hashed so that a changed wording shows in every result."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from videorouter.eval.benchmarks.items import Item
from videorouter.eval.running.subtitles import SubtitleReader, said_between, shown_at
from videorouter.routers.systems.query import Query, letters, question_text

SUBTITLES = SubtitleReader()
"""Caches the files that were read, and lists those that could not be."""

_LETTER_DIRECTLY: Final = "Answer with the option's letter from the given choices directly."
_SUBTITLES_BELOW: Final = "This video's subtitles are listed below:\n{subtitles}\n"


@dataclass(frozen=True)
class Wording:
    """A template of `{question}`, `{options}` and `{letters}`; `{letter}` and `{option}` make an option's line.

    `with_subtitles` takes the place of `template` where it is given and lines are shown at the sampled frames. With `subtitle`,
    a template of `{subtitle}`, lines stand between the frames instead. Without any template the wording is the project's own.
    """

    name: str
    template: str | None = None
    option: str = "{letter}. {option}"
    with_subtitles: str | None = None
    subtitle: str | None = None

    @property
    def id(self) -> str:
        """`name@hash`: the first 8 hexadecimal digits of the SHA-256 over all templates."""
        own = question_text(Query("{question}", ("{option}",)))
        parts = [own] if self.template is None else [self.template, self.option, self.with_subtitles or ""]
        parts += [] if self.subtitle is None else [self.subtitle]
        return f"{self.name}@{hashlib.sha256(chr(0).join(parts).encode()).hexdigest()[:8]}"

    def render(self, item: Item, seconds: Sequence[float], reader: SubtitleReader = SUBTITLES) -> str:
        """The text for an item of which frames were sampled at `seconds`; subtitles are those on screen then."""
        if self.template is None:
            return question_text(Query(item.question, item.options))
        names = letters(item.options)
        shown: list[str] = []
        if self.with_subtitles is not None and item.subtitles is not None:
            shown = shown_at(reader.lines(item.subtitles), seconds)
        template = self.with_subtitles if self.with_subtitles is not None and shown else self.template
        lines = [
            self.option.format(letter=name, option=option) for name, option in zip(names, item.options, strict=True)
        ]
        return template.format(
            question=item.question,
            options="\n".join(lines),
            letters=f"{', '.join(names[:-1])}, or {names[-1]}" if len(names) > 2 else " or ".join(names),
            subtitles="\n".join(shown),
        )

    def between(
        self,
        item: Item,
        seconds: Sequence[float],
        shown: Sequence[float],
        duration: float,
        reader: SubtitleReader = SUBTITLES,
    ) -> tuple[str, ...] | None:
        """What stands before each frame and after the last (`Query.between`), for frames that were sampled at `seconds`.

        `shown` `[T]` are the seconds of the frames as the model has them, maybe merged; `duration` is the video's. None where
        nothing is said: the prompt is then the one without subtitles.
        """
        if self.subtitle is None or item.subtitles is None:
            return None
        said = said_between(reader.lines(item.subtitles), seconds, shown, duration)
        if not any(said):
            return None
        return tuple("".join(self.subtitle.format(subtitle=text) for text in texts) for texts in said)

    def unread(self, item: Item, reader: SubtitleReader = SUBTITLES) -> str | None:
        """Why the item is asked without its subtitles in a wording that shows them; None where it is not."""
        if item.subtitles is None or (self.with_subtitles is None and self.subtitle is None):
            return None
        reader.lines(item.subtitles)
        return reader.damaged.get(item.subtitles.path)


def _select_best(basis: str) -> str:
    return (
        f"Select the best answer to the following multiple-choice question based on the {basis}. "
        "Respond with only the letter ({letters}) of the correct option.\n{question}\n{options}\nThe best answer is:"
    )


_LONG: Final = "{question}\n{options}\n" + _LETTER_DIRECTLY
_MLVU: Final = (
    "Carefully watch this video and pay attention to every detail. Based on your observations, select the best option that "
    "accurately addresses the question.\n"
    "Question: {question}\nOptions:\n{options}\nOnly give the best option.\nBest option: ("
)

WORDINGS: Final = {
    wording.name: wording
    for wording in (
        Wording("house"),
        Wording("video_mme", _select_best("video")),
        Wording(
            "video_mme_subtitles",
            _select_best("video"),
            with_subtitles=_SUBTITLES_BELOW + _select_best("video and the subtitles"),
        ),
        Wording("mlvu", _MLVU, "({letter}) {option}"),
        Wording("longvideobench", _LONG),
        Wording("longvideobench_interleaved", _LONG, subtitle="{subtitle}\n"),
        Wording("lvbench", "{question}\n{options}\nAnswer the question with the option letter.", "({letter}) {option}"),
        Wording("egoschema", _LONG),
    )
}


WITH_SUBTITLES: Final = {"video_mme": "video_mme_subtitles", "longvideobench": "longvideobench_interleaved"}
"""The wording with subtitles that a benchmark's own script asks in, by benchmark."""


def wording(name: str) -> Wording:
    """The wording of that name. Raises `ValueError` with the names there are."""
    if name not in WORDINGS:
        raise ValueError(f"unknown wording {name!r}: there are {', '.join(WORDINGS)}")
    return WORDINGS[name]


def usual_wording(benchmark: str, subtitles: bool = False) -> Wording:
    """A benchmark's own wording, the project's for one without; `subtitles` asks for the variant with them, where there is one."""
    name = WITH_SUBTITLES.get(benchmark, benchmark) if subtitles else benchmark
    return WORDINGS.get(name, WORDINGS["house"])
