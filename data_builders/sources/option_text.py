"""Options written into a question's text: `A. ...`, `A: ...`, `A) ...` or `(A) ...`, line by line or in line."""

import re
from dataclasses import dataclass
from itertools import takewhile

from videorouter.routers.systems.query import letters

_STYLES = (r"\(([A-Z])\)", r"([A-Z])\)", r"([A-Z])\.", r"([A-Z]):")
"""How a letter is set off; the options of a question are all written in one of these ways."""
_LEAD_IN = re.compile(r"\s*\b(?:Options|Choices)\s*:\s*$", re.IGNORECASE)
_INSTRUCTION = re.compile(
    r"\s+(?:Please\s+(?:answer|choose|give|pick|provide|reply|respond|select)|(?:Answer|Respond|Reply)\s+with)\b.*$",
    re.DOTALL,
)
"""How to answer, behind the last option on its line."""


@dataclass(frozen=True)
class WrittenOptions:
    """A question as it stands before its options, and these; `in_line` where they are not each on a line of its own."""

    question: str
    options: list[str]
    in_line: bool


def written_options(text: str) -> WrittenOptions | None:
    """The options of a text, at least A and B, in the order of the alphabet; None where it has none (ours).

    What follows the last option on later lines is how to answer, and dropped, as is `Options:` before the first. Options in line
    may be running text ("vitamins A. B. ..."): only the reply tells.
    """
    for in_line in (False, True):
        found = [chain for style in _STYLES if len(chain := _chain(text, style, in_line)) > 1]
        if found:
            chain = max(found, key=len)
            question = _LEAD_IN.sub("", text[: chain[0].start()]).strip()
            return WrittenOptions(question, _texts(text, chain, in_line), in_line)
    return None


def _chain(text: str, style: str, in_line: bool) -> list[re.Match[str]]:
    """Where A, B, ... stand one after another: at the beginnings of lines, or also after a blank; of several the last."""
    before = r"(?:(?<=\s)|^)" if in_line else r"^[^\S\n]*"
    marks = list(re.finditer(rf"{before}{style}(?=[^\S\n]*\S)", text, re.MULTILINE))
    starts = [place for place, mark in enumerate(marks) if mark[1] == "A"]
    chains = [_from(marks[start:]) for start in reversed(starts)]
    return next((chain for chain in chains if len(chain) > 1), [])


def _from(marks: list[re.Match[str]]) -> list[re.Match[str]]:
    pairs = zip(marks, letters(["?"] * 26), strict=False)
    return [mark for mark, _ in takewhile(lambda pair: pair[0][1] == pair[1], pairs)]


def _texts(text: str, chain: list[re.Match[str]], in_line: bool) -> list[str]:
    """What stands behind each letter; the last option ends with its line."""
    ends = [mark.start() for mark in chain[1:]] + [len(text)]
    texts = [text[mark.end() : end].strip() for mark, end in zip(chain, ends, strict=True)]
    texts[-1] = _INSTRUCTION.sub("", texts[-1].split("\n", 1)[0])
    texts = [" ".join(option.split()) for option in texts]
    return [option.rstrip(" ,;") for option in texts] if in_line else texts
