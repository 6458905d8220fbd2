"""An answer told piece by piece while it is decoded; a character of which bytes are still to come waits for them (ours)."""

from collections.abc import Callable, Sequence
from typing import Any, Final

INCOMPLETE: Final = "\ufffd"
"""What tokenizers show for bytes that are no character yet."""


class Streamed:
    """Tells `on_text` what came to the text since the last time; all pieces together are the answer."""

    def __init__(self, tokenizer: Any, on_text: Callable[[str], None]) -> None:
        self._tokenizer, self._on_text = tokenizer, on_text
        self._said = ""

    def so_far(self, ids: Sequence[int]) -> None:
        """All ids until now."""
        text = self._text(ids)
        if not text.endswith(INCOMPLETE):
            self._say(text)

    def finished(self, ids: Sequence[int]) -> None:
        """No more will come: what waited is told as it is."""
        self._say(self._text(ids).rstrip())

    def _say(self, text: str) -> None:
        if len(text) > len(self._said) and text.startswith(self._said):
            self._on_text(text[len(self._said) :])
            self._said = text

    def _text(self, ids: Sequence[int]) -> str:
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=True)).lstrip()
