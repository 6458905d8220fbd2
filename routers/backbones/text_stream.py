"""An answer's text as it grows: what is certain of it is passed on, and it is cut where a stop string begins (ours)."""

import re
from collections.abc import Callable, Sequence
from itertools import takewhile
from typing import Any, Final

from videorouter.routers.backbones.running_batch import Row

INCOMPLETE: Final = "\ufffd"
"""What tokenizers show for bytes that are no character yet."""
_BYTE: Final = re.compile(r"<0x[0-9A-F]{2}>")
"""How tokenizers that fall back to bytes (Llama) write a token of one."""
OnText = Callable[[str], bool | None]
"""Hears each new piece of text; True where nobody listens any longer."""


class TextStream:
    """What a `Row` is `told`: writes its `text`, and calls `on_text` with what is new; all pieces together are the answer.

    Held back until more is known: bytes that are no character yet, or may turn out to be none, space at the end, which an answer
    does not have, and the beginning of a stop string. Where one came the row is `ended`, its text without the stop string and what
    follows it. Where a tokenizer rewrites what was said all the same, the last piece is what follows the common part, and the
    row's text is exact.
    """

    def __init__(self, tokenizer: Any, on_text: OnText | None = None, stops: Sequence[str] = ()) -> None:
        """With neither `on_text` nor `stops` the text is made once, at the end. Raises `ValueError` for an empty stop string."""
        if "" in stops:
            raise ValueError("a stop string is empty: every answer would end before it begins")
        self._tokenizer, self._on_text, self._stops = tokenizer, on_text, tuple(stops)
        special = {number for number, entry in tokenizer.added_tokens_decoder.items() if entry.special}
        self._silent = special.union(tokenizer.all_special_ids)  # left out before bytes are joined

    def __call__(self, row: Row) -> bool:
        if row.running and self._on_text is None and not self._stops:
            return False
        text = self._text(row.ids)
        found = [place for stop in self._stops if (place := text.find(stop)) >= 0]
        if found:
            row.ended = True
            self._say(row, text[: min(found)].rstrip())
            return True
        if not row.running:
            return self._say(row, text.rstrip())
        if unsettled := self._bytes_at_the_end(row.ids):
            text = self._text(row.ids[:-unsettled])
        if text.endswith(INCOMPLETE):
            return False
        text = text[: len(text) - self._begun(text)].rstrip()
        return text.startswith(row.text) and self._say(row, text)

    def _text(self, ids: Sequence[int]) -> str:
        return str(self._tokenizer.decode(ids, skip_special_tokens=True)).lstrip()

    def _bytes_at_the_end(self, ids: Sequence[int]) -> int:
        """Tokens of single bytes that end `ids`: one that makes no character unmakes those of the whole run (`ByteFallback`)."""
        count = 0
        for number, token in enumerate(reversed(ids), 1):
            if _BYTE.fullmatch(str(self._tokenizer.convert_ids_to_tokens(token))):
                count = number
            elif token not in self._silent:
                break
        return count

    def _begun(self, text: str) -> int:
        """Characters at the end of `text` that may be the beginning of a stop string."""
        longest = max(map(len, self._stops), default=1) - 1
        sizes = range(min(longest, len(text)), 0, -1)
        return next((size for size in sizes if any(stop.startswith(text[-size:]) for stop in self._stops)), 0)

    def _say(self, row: Row, text: str) -> bool:
        """Whether nobody listens any longer."""
        common = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(row.text, text, strict=False)))
        new = text[common:]
        row.text = text
        return bool(new) and self._on_text is not None and bool(self._on_text(new))
