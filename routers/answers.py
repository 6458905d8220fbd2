"""From a model's free text to the letter of one option: one deterministic parser for builders, training and evaluation."""

import re
from collections.abc import Sequence

_LEAD_INS = re.compile(
    r"^(the\s+)?(best\s+|correct\s+|right\s+|final\s+)?(answer|option|choice)(\s+is)?\s*[:\-]?\s*"
    r"((the\s+)?(option|choice)\s*[:\-]?\s*)?",
    re.IGNORECASE,
)
_MARKUP = re.compile(r"[*_`#\"']+")


def letters(options: Sequence[str]) -> list[str]:
    """The option letters: A, B, C, ... one per option. Raises `ValueError` beyond 26 options."""
    if not 1 <= len(options) <= 26:
        raise ValueError(f"{len(options)} options: between 1 and 26 are needed to letter them")
    return [chr(ord("A") + i) for i in range(len(options))]


def lettered(options: Sequence[str]) -> list[str]:
    """The options as they stand in a prompt: `(A) first`, `(B) second`, ..."""
    return [f"({letter}) {option}" for letter, option in zip(letters(options), options, strict=True)]


def parse_choice(text: str, options: Sequence[str]) -> str | None:
    """The letter of the option that `text` chooses, or None when it chooses none or several (ours; never guesses).

    Read in this order: the whole text is an option; a letter alone, in parentheses or closed by punctuation, after
    lead-ins such as "the answer is"; exactly one option's full text occurs. A letter that starts a sentence ("A red car
    drives by") counts only when what follows is that option.
    """
    names = letters(options)
    plain = _normal(text)
    if not plain:
        return None
    bodies = [_normal(option) for option in options]
    whole = [name for name, body in zip(names, bodies, strict=True) if body == plain]
    if len(whole) == 1:
        return whole[0]
    stripped = _MARKUP.sub("", text).strip()
    stripped = _LEAD_INS.sub("", stripped).strip()
    lettered_choice = _leading_letter(stripped, names, bodies)
    if lettered_choice is not None:
        return lettered_choice or None
    named = _longest_mentions(plain, names, bodies)
    return named[0] if len(named) == 1 else None


def _leading_letter(text: str, names: list[str], bodies: list[str]) -> str | None:
    """The letter `text` opens with; "" where it opens with several ("A or B"); None where it opens with none."""
    match = re.match(r"^(?:\(([A-Za-z])\)|([A-Za-z])(?=$|[\s.,:;)!?/&]))\s*[.,:;)!?]*\s*(.*)$", text, re.DOTALL)
    if not match:
        return None
    letter, rest = (match[1] or match[2]).upper(), match[3].strip()
    if letter not in names:
        return None
    if re.match(r"^(or|and|/|&)\s*\(?[A-Za-z]\)?([\s.,;!?]|$)", rest, re.IGNORECASE):
        return ""
    marked = match[1] is not None or re.match(r"^[A-Za-z]\s*[.:)]", text) is not None
    if not rest or marked or _normal(rest).startswith(bodies[names.index(letter)]):
        return letter
    return None


def _longest_mentions(plain: str, names: list[str], bodies: list[str]) -> list[str]:
    """Letters of the options mentioned, without those that occur only inside a longer mentioned option."""
    found = [(name, body) for name, body in zip(names, bodies, strict=True) if body and _occurs(body, plain)]
    return [name for name, body in found if not any(other != body and _occurs(body, other) for _, other in found)]


def _occurs(body: str, text: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(body)}(?!\w)", text) is not None


def _normal(text: str) -> str:
    return re.sub(r"\s+", " ", _MARKUP.sub("", text)).strip().rstrip(".!").strip().casefold()
