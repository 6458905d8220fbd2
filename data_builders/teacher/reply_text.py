"""The JSON of a reply, taken out of what models write around it (ours)."""

import json
import re

_THOUGHTS = re.compile(r"<(think|thinking|thought|reasoning)>.*?</\1>", re.DOTALL | re.IGNORECASE)
_BEGINNING_OF_THOUGHTS = re.compile(r"<(?:think|thinking|thought|reasoning)>", re.IGNORECASE)
_END_OF_THOUGHTS = re.compile(r"</(?:think|thinking|thought|reasoning)>", re.IGNORECASE)
_SURROGATE = re.compile("[\ud800-\udfff]")
_INSIDE = re.compile(r'(?:[\[,]|"\s*:)\s*$')
"""What stands before an object that is a part of another one."""
_MOST_TRIES = 100
_DECODER = json.JSONDecoder(strict=False)  # a line break inside a string is what models write, too


def json_text(raw: str, cut_off: bool = False) -> str:
    """The JSON object in `raw`, without thoughts, code fences, a byte-order mark and lone surrogates; `raw` where there is none.

    Of several objects it is the longest; a part of a broken one is none. What was `cut_off` before its end may be all thoughts,
    and the object in them a draft: then it counts where the reply begins with it, thoughts that ended aside.
    """
    text = raw.strip("\ufeff \t\r\n")
    found = _longest_object(text) if text.startswith("{") else None
    rest = _without_thoughts(text)
    if not cut_off or rest.lstrip().startswith(("{", "```")):
        found = found or _longest_object(rest)
    return without_surrogates(raw if found is None else json.dumps(found, ensure_ascii=False))


def without_surrogates(text: str) -> str:
    """With U+FFFD in place of lone surrogates, which no file and no database takes."""
    return _SURROGATE.sub("\ufffd", text)


def _without_thoughts(text: str) -> str:
    """What follows the thoughts; their beginning may be in the prompt, and they may have no end."""
    return _BEGINNING_OF_THOUGHTS.split(_END_OF_THOUGHTS.split(_THOUGHTS.sub("", text))[-1])[0]


def _longest_object(text: str) -> dict[str, object] | None:
    longest: tuple[int, dict[str, object]] | None = None
    start = text.find("{")
    for _ in range(_MOST_TRIES):
        if start < 0:
            break
        try:
            found, end = _DECODER.raw_decode(text, start)
        except (ValueError, RecursionError):
            end = start + 1
        else:
            whole = not _INSIDE.search(text, max(0, start - 200), start)
            if whole and (longest is None or end - start > longest[0]):
                longest = end - start, found
        start = text.find("{", end)
    return longest[1] if longest else None
