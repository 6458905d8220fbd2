"""Foreign answers to the questions of a run of ours: found by their words, so that both can be compared item by item."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from videorouter.eval.converters.foreign import ForeignAnswer, UnreadableError
from videorouter.eval.items import Item

_SPACE: Final = re.compile(r"\s+")


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
    """The item as the foreign file tells it. Raises `UnreadableError` where it does not name the video."""
    if answer.video is None:
        raise UnreadableError("its video is not named")
    return Item(answer.id, Path(answer.video), answer.question, answer.options, answer.answer, answer.groups)


def _words(question: str, options: Sequence[str]) -> tuple[str, ...]:
    return tuple(_SPACE.sub(" ", text).strip().casefold() for text in (question, *options))


def _stem(video: str) -> str:
    """Toolkits name videos with and without a suffix."""
    name = Path(video).name
    return name.rsplit(".", 1)[0] if re.search(r"\.(mp4|mkv|webm|avi|mov|gif)$", name, re.IGNORECASE) else name
