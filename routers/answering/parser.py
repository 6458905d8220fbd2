"""From a model's free text to the letter of one option: one deterministic parser for builders, training and evaluation."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from videorouter.routers.answering.answer_text import (
    normal,
    plain,
    untagged,
    without_ruled_out,
    without_thought,
    wrapped,
)
from videorouter.routers.systems.query import letters

SEVERAL: Final = ""
_SENTENCE_LIMIT: Final = 400

_LETTER = re.compile(r"[(\[] ?([A-Za-z]) ?(?:[)\]]|$)|([A-Za-z])(?!\w)")
_ALONE = re.compile(r"[\s,;:.\-(\[]*([A-Za-z])[\s,;:.!)\]}\-]*")
_OTHER = re.compile(
    r" ?(?:,|/|&|\+|(?:, ?)?(?:or|and)\b) ?(?:option |choice )?"
    r"(?:\(([A-Za-z])\)|([A-Za-z])(?=$|[.,;:!?)/&\n]| (?:or|and|are|both)\b))",
    re.IGNORECASE,
)
_REASON = re.compile(r" (?:because|since|as|due|based|given|which|but)\b", re.IGNORECASE)

_STATED = re.compile(
    r"\b(?:ans|answer|option|choice)(?: (?:to|for|of|among|from|here)\b[^.:\n]{0,80}?)?\s?"
    r"(?:(?:is|would be|should be|must be|will be)\b|->|[:=–—-])(?:\s?[:=–—-]){0,3}\s?"
    r"(?:(?:most likely|probably|likely|clearly|therefore|thus|definitely|indeed|actually),? )?"
    r"(?:the )?(?:(?:correct|best|right|final) )?(?:(?:option|choice|letter|answer)\b\s?[:-]?\s?)?",
    re.IGNORECASE,
)
_CHOSEN = re.compile(
    r"(?:(?:\b(?:it is|its|that is|thats|it must be|actually|instead|rather|correction|i mean|so|therefore|thus|hence"
    r"|i (?:will |would )?(?:choose|pick|select|think|believe|say|go with)|(?:id|ill) (?:choose|pick|select|say|go with)"
    r"|choose|pick|select|going with)\b|\b(?:no|wait),|(?:^|[,;.])\s?but\b)[,:]?\s?)"
    r"(?:(?:it is|its|it must be|rather|actually|option|choice|maybe|probably) ){0,2}(?=[(\[]|[A-Z]\b)",
    re.IGNORECASE,
)
_CALLED_RIGHT = re.compile(
    r"(?:\(([A-Z])\)|\b([A-Z])\b)[.)]? (?:is|must be|seems|appears to be) (?:(?:the|most|clearly) ){0,2}"
    r"(?:correct|right\b|accurate|(?:best|final|likely) (?:answer|option|choice)|answer\b)"
)
_NAMED = re.compile(r"\b(?:answer|option|choice) (?=[(\[]|[A-Z]\b)", re.IGNORECASE)
_TENTATIVE = re.compile(
    r"\b(?:at first|initially|originally|(?:might|may|could|would) (?:think|assume|say|suppose)|i (?:thought|assumed)"
    r"|whether|if|suppose|assuming)\b(?:(?!\b(?:but|however|now)\b)[^,;]){0,120}$",
    re.IGNORECASE,
)
_RETRACTED = re.compile(
    r"\b(?:wait|actually|on second thought|correction|sorry|no,)[^\n]{0,60}?"
    r"(?:\(([A-Z])\)|\b([B-HJ-Z])\b(?!-)|\b(A)\b(?=[.,;:)]|$))",
    re.IGNORECASE,
)
_NEGATION = re.compile(r"(?:\bnot|nt|\bneither|\bnor|\brather than|\binstead of) (?:(?:an?|the|really|actually) )?$")


def parse_choice(text: str, options: Sequence[str]) -> str | None:
    r"""The letter of the option that `text` chooses, or None when it chooses none or several (ours; never guesses).

    A thought (`<think>`) is no answer; what is wrapped as one (`<answer>`, `\boxed{}`) is all that counts. Then, in this order:
    a letter or an option alone; the last statement such as "the final answer is D", unless it is tentative ("at first I
    thought") or taken back; a letter alone in a line or sentence; a letter that the text opens with; one option named by
    letter; exactly one option's full text. What is ruled out ("not A") counts nowhere. A letter that starts a sentence ("A red
    car drives by") counts only when what follows is that option. Time grows linearly with the text.

    Raises `ValueError` for no options or more than 26.
    """
    names = letters(options)
    return _Reader(names, [normal(option) for option in options]).read(text) or None


class _Reader:
    """Reads texts against one question's options. Every step gives a letter, SEVERAL, or None for "look further"."""

    def __init__(self, names: list[str], bodies: list[str]) -> None:
        self.names, self.bodies = names, bodies

    def read(self, text: str) -> str | None:
        text = without_thought(text)
        inner = wrapped(text)
        text = plain(untagged(text if inner is None else inner))
        whole = self._whole(text)
        if whole is not None:
            return whole
        text = without_ruled_out(text)
        for step in (self._stated, self._alone, self._opening, self._named):
            found = step(text)
            if found is not None:
                letter, end = found
                return SEVERAL if letter and self._retracted(text, end, letter) else letter
        return self._mentioned(normal(text))

    def _whole(self, text: str) -> str | None:
        alone = _ALONE.fullmatch(text.rstrip(" ?"))
        if alone and alone[1].upper() in self.names:
            return alone[1].upper()
        compared = normal(text)
        same = [name for name, body in zip(self.names, self.bodies, strict=True) if body and body == compared]
        if len(same) == 1:
            return same[0]
        opening = _LETTER.match(text)
        letter = ((opening[1] or opening[2]) if opening else "").upper()
        if opening and letter in self.names and self._is_own(letter, text[opening.end() :], whole=True):
            return letter
        return None

    def _stated(self, text: str) -> tuple[str, int] | None:
        """The last statement that names an option, by letter or, after "the answer is", by its text."""
        for start, end, by_text in sorted(self._statements(text), reverse=True):
            sentence_start = max(text.rfind(mark, max(0, start - 150), start) for mark in ".!?\n") + 1
            if _TENTATIVE.search(text[max(sentence_start, start - 150) : start]):
                continue
            letter = self._letter_at(text, end)
            if letter is None and by_text:
                sentence = re.split(r"(?<=[.!?])\s|\n", text[end : end + _SENTENCE_LIMIT], maxsplit=1)[0]
                letter = self._mentioned(normal(sentence))
            if letter is not None:
                return letter, end
        return None

    def _statements(self, text: str) -> Iterator[tuple[int, int, bool]]:
        for found in _STATED.finditer(text):
            yield found.start(), found.end(), True
        for found in _CHOSEN.finditer(text):
            if text[found.end()] in "([" or text[found.end()].isupper():
                yield found.start(), found.end(), False
        for found in _CALLED_RIGHT.finditer(text):
            yield found.start(), found.start(), False

    def _letter_at(self, text: str, position: int) -> str | None:
        """The letter that stands at `position` as an option's name, not as a word or an initial."""
        found = _LETTER.match(text, position)
        if not found or (found[1] or found[2]).upper() not in self.names:
            return None
        letter = (found[1] or found[2]).upper()
        rest = text[found.end() : found.end() + _SENTENCE_LIMIT]
        other = _OTHER.match(rest)
        if other and (other[1] or other[2]).upper() != letter and not self._is_own(letter, rest):
            return SEVERAL
        if found[1] or not rest or self._is_own(letter, rest):
            return letter
        article = found[2] in "ai"
        if _REASON.match(rest) and not article:
            return letter
        if _CALLED_RIGHT.match(text, position):
            return letter
        closed = rest[0] in ",:;)!}\n–—" or rest.startswith(" -") or rest == "?"
        return letter if closed or re.match(r"\.(?!\w)", rest) else None

    def _is_own(self, letter: str, rest: str, whole: bool = False) -> bool:
        """Whether what follows a letter is (or begins with) the text of its own option."""
        body = self.bodies[self.names.index(letter)]
        said = normal(rest.lstrip(" .,:;)]!?–—-\n")[: len(rest) if whole else 2 * len(body) + 20])
        return bool(body) and (said == body if whole else re.match(rf"{re.escape(body)}(?!\w)", said) is not None)

    def _alone(self, text: str) -> tuple[str, int] | None:
        """The one letter that stands alone; after "B. its own text", "A. is wrong" is a remark on another option."""
        found: dict[str, int] = {}
        remarks: set[str] = set()
        for segment in re.finditer(r"(?:[^.!?;\n]|[.!?](?!\s|$))+(\?)?", text):
            alone = None if segment[1] else _ALONE.fullmatch(segment[0])
            if alone and alone[1].upper() in self.names and alone[1] != "a":
                letter, rest = alone[1].upper(), text[segment.end() : segment.end() + _SENTENCE_LIMIT]
                found.setdefault(letter, segment.end())
                if rest.startswith(". ") and not self._is_own(letter, rest):
                    remarks.add(letter)
        first = next(iter(found), None)
        if first and len(found) > 1 and found.keys() - remarks == {first} and self._is_own(first, text[found[first] :]):
            return first, found[first]
        if len(found) > 1:
            return SEVERAL, 0
        return next(iter(found.items()), None)

    def _opening(self, text: str) -> tuple[str, int] | None:
        start = len(text) - len(text.lstrip(" ,;:.-"))
        letter = self._letter_at(text, start)
        return None if letter is None else (letter, start + 1)

    def _named(self, text: str) -> tuple[str, int] | None:
        found = {
            letter: name.end()
            for name in _NAMED.finditer(text)
            if (letter := self._letter_at(text, name.end())) is not None
        }
        return next(iter(found.items())) if len(found) == 1 else None

    def _retracted(self, text: str, end: int, letter: str) -> bool:
        return any(
            other != letter and other in self.names
            for found in _RETRACTED.finditer(text, end)
            for other in (found[1], found[2], found[3])
            if other
        )

    def _mentioned(self, text: str) -> str | None:
        """The one option whose text occurs; those that occur only inside a longer mentioned one are not meant."""
        pairs = zip(self.names, self.bodies, strict=True)
        found = [(name, body) for name, body in pairs if body and _occurs(body, text)]
        named = [name for name, body in found if not any(other != body and _within(body, other) for _, other in found)]
        return named[0] if len(named) == 1 else None


def _occurs(body: str, text: str) -> bool:
    """Whether `body` stands in `text` as words of its own, and not only after a negation."""
    places = re.finditer(rf"(?<!\w){re.escape(body)}(?!\w)", text)
    return any(not _NEGATION.search(text[max(0, place.start() - 30) : place.start()]) for place in places)


def _within(body: str, longer: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(body)}(?!\w)", longer) is not None
