"""A model's free text without what surrounds an answer: thinking, tags, markup, options that it rules out."""

import re
import unicodedata

_MARKUP = re.compile(r"[*_`#\"'“”‘’]+")
_LATEX = re.compile(r"\\(?:text|textbf|mathrm|mathbf)\{([^{}]{0,200})\}|\$([A-Za-z])\$")
_THOUGHT = re.compile(r"<(/?)think(?:ing)?>", re.IGNORECASE)
_TAG = re.compile(r"<(/?)answer>", re.IGNORECASE)
_BOX = re.compile(r"\\boxed\{")
_BOX_LIMIT = 500
_SPECIAL = re.compile(r"<\|[^|<>]{0,40}\|>|</?s>")

# Apostrophes are gone when these are looked for. A and I are words, so they are letters only where a word could not stand.
_LETTER = r"(?:\([A-Za-z]\)|[B-HJ-Z]\b(?!-)|[AI](?=$|[.,;:!?)}\n]| (?:or|nor|and|but)\b))"
_RULED_OUT = re.compile(
    r"(?i:\b(?:(?:the )?(?:(?:best|correct|right|final) )?(?:answer|option|choice)|it|this|that) (?:is|was) |\bits )?"
    r"(?i:definitely |certainly |clearly )?"
    r"(?i:\b(?:not|isnt|wasnt|cant be|cannot be|can not be|neither|nor|rather than|instead of|except"
    r"|(?:dont|do not) (?:think|believe)(?: that)?(?: (?:its|it is|(?:the )?(?:answer|option|choice)(?: is)?))?) )"
    rf"(?i:option |choice |answer )?{_LETTER}"
    rf"(?:(?:, (?i:option |choice )?{_LETTER}){{0,25}},? (?i:or|nor|and) (?i:option |choice )?{_LETTER})?"
    r"|(?:\([A-Z]\)|\b[A-Z]\b) (?i:(?:is|was|seems) (?:clearly )?(?:not|incorrect|wrong|false)|isnt|cannot|cant|does not|doesnt)\b"
)


def normal(text: str) -> str:
    """Text as it is compared: one form of every character, no markup, one space, no closing full stop, no case."""
    return " ".join(plain(text).split()).rstrip(".!").strip().casefold()


def plain(text: str) -> str:
    """Text without markup and quotes; at most one space or one line break in a row."""
    text = _LATEX.sub(lambda found: found[1] or found[2] or "", _SPECIAL.sub(" ", unicodedata.normalize("NFKC", text)))
    text = _MARKUP.sub("", text)
    return "\n".join(line for raw in text.splitlines() if (line := " ".join(raw.split())))


def without_thought(text: str) -> str:
    """What follows the last closed thought, up to one that is still open."""
    kept = text
    for tag in _THOUGHT.finditer(text):
        kept = text[tag.end() :] if tag[1] else kept
    opened = _THOUGHT.search(kept)
    return kept[: opened.start()] if opened else kept


def wrapped(text: str) -> str | None:
    r"""The content of the last `<answer>...</answer>` or `\boxed{...}`, None without one that holds anything."""
    found: list[tuple[int, str]] = []
    tags = list(_TAG.finditer(text))
    for tag, following in zip(tags, [*tags, None][1:], strict=True):
        if not tag[1]:
            found.append((tag.start(), text[tag.end() : following.start() if following else len(text)]))
    boxes = list(_BOX.finditer(text))
    if boxes:
        found.append((boxes[-1].start(), _braced(text[boxes[-1].end() : boxes[-1].end() + _BOX_LIMIT])))
    contents = [content for _, content in sorted(found) if content.strip()]
    return contents[-1] if contents else None


def untagged(text: str) -> str:
    """Text without answer tags."""
    return _TAG.sub(" ", text)


def without_ruled_out(text: str) -> str:
    """Plain text in which "not A", "neither A nor B", "it is not A" are gone; a semicolon stands for each."""
    return _RULED_OUT.sub(";", text)


def _braced(text: str) -> str:
    depth = 1
    for position, character in enumerate(text):
        depth += (character == "{") - (character == "}")
        if depth == 0:
            return text[:position]
    return text
