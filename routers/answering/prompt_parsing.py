"""The question inside a prompt that another toolkit wrote: routers read it without options and instructions (ours)."""

import re
from typing import Final, NamedTuple

OPTION_LINE: Final = re.compile(r"^\s*(?:\(([A-Z])\)|([A-Z])[.):])\s*(\S(?:.*\S)?)\s*$")
"""A lettered option: its letter in group 1 or 2, its text in group 3."""


class ExtractedQuestion(NamedTuple):
    """A question alone, and its options in order, without their letters, where lines of a prompt give them."""

    question: str
    options: tuple[str, ...] | None


def extract_question(prompt: str) -> ExtractedQuestion:
    """Find question and options in a prompt.

    Options are the last run of lines lettered `(A)`, `A.`, `A)` or `A:`, from A on without a gap, at least two (blank lines
    between them count for nothing). The question is what stands above them, or all where there are none, after the last line
    that is an instruction ("Select the best answer to the following ...") or opens with "Question:", and without a heading
    ("Options:"), nor instructions on how to answer as last lines. What would leave nothing is not taken away.
    """
    lines = prompt.splitlines()
    run = _last_run(lines)
    above = lines if run is None else lines[: run[0]]
    options = None if run is None else tuple(match[3] for line in run if (match := OPTION_LINE.match(lines[line])))
    question = "\n".join(_without_instructions(above)).strip()
    return ExtractedQuestion(question or prompt.strip(), options)


_HEADING: Final = re.compile(r"^\s*((possible\s+)?answer\s+)?(options?|choices?|candidates)\s*:?\s*$", re.IGNORECASE)
_ABOVE: Final = re.compile(
    r"^\s*(select|choose|pick)\s+the\s+(best|correct|right)\s+(answer|option)\b"
    r"|^\s*(please\s+)?(answer|respond\s+to)\s+the\s+(following\s+)?(multiple.choice\s+)?question\b[^?]*[:.]\s*$"
    r"|^\s*respond\s+with\s+only\b",
    re.IGNORECASE,
)
_BELOW: Final = re.compile(
    r"^\s*(please\s+)?(directly\s+)?(answer|respond|reply|give|only\s+give|select|choose)\b[^?]*$"
    r"|^\s*(the\s+)?(best|correct)\s+(answer|option)\b[^?]*$"
    r"|^\s*answer\s*:?\s*\(?\s*$",
    re.IGNORECASE,
)
_LABEL: Final = re.compile(r"^\s*question\s*:\s*", re.IGNORECASE)


def _last_run(lines: list[str]) -> list[int] | None:
    """The places of the last run of option lines."""
    runs: list[list[int]] = []
    for place, line in enumerate(lines):
        match = OPTION_LINE.match(line)
        if not match:
            if line.strip():
                runs.append([])
            continue
        letter = match[1] or match[2]
        if letter == "A":
            runs.append([place])
        elif runs and runs[-1] and letter == chr(ord("A") + len(runs[-1])):
            runs[-1].append(place)
        else:
            runs.append([])
    return next((run for run in reversed(runs) if len(run) > 1), None)


def _without_instructions(lines: list[str]) -> list[str]:
    kept = [line for line in lines if line.strip()]
    plain = [" ".join(line.split()) for line in kept]  # long runs of spaces would take the patterns below their square
    while len(kept) > 1 and (_HEADING.match(plain[len(kept) - 1]) or _BELOW.match(plain[len(kept) - 1])):
        kept.pop()
    for place in range(len(kept) - 1, -1, -1):
        if _LABEL.match(plain[place]):
            return [_LABEL.sub("", kept[place]), *kept[place + 1 :]]
        if _ABOVE.match(plain[place]) and place + 1 < len(kept):
            return kept[place + 1 :]
    return kept
