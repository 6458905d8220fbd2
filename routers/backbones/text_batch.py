"""A running batch whose rows are read as text, with stop strings: what a server decodes with (ours)."""

from collections.abc import Callable, Sequence
from typing import Any

from videorouter.routers.backbones.prompt import Prompt, SharedPrefix
from videorouter.routers.backbones.running_batch import Choose, Row, RunningBatch, greedy
from videorouter.routers.backbones.text_stream import OnText, TextStream


class TextBatch:
    """`RunningBatch` over a backbone's model and tokenizer: `Row.text` is the answer's, whole once the row has ended."""

    def __init__(self, model: Any, ends: set[int], tokenizer: Any, check: Callable[[Prompt], None]) -> None:
        """`check` is called with each prompt before it is run, and raises what refuses it."""
        self._batch, self._tokenizer, self._check = RunningBatch(model, ends), tokenizer, check

    def __len__(self) -> int:
        """Rows that run."""
        return len(self._batch)

    @property
    def cached_tokens(self) -> int:
        """As `RunningBatch`."""
        return self._batch.cached_tokens

    def join(
        self,
        prompt: Prompt,
        max_new_tokens: int,
        *,
        choose: Choose = greedy,
        on_text: OnText | None = None,
        stops: Sequence[str] = (),
        shared: SharedPrefix | None = None,
    ) -> Row:
        """As `RunningBatch.join`, told as `TextStream` tells it. Raises `ValueError` for a prompt beyond the model's positions."""
        self._check(prompt)
        stream = TextStream(self._tokenizer, on_text, stops)
        return self._batch.join(prompt, max_new_tokens, choose=choose, told=stream, shared=shared)

    def step(self) -> list[Row]:
        """As `RunningBatch`."""
        return self._batch.step()

    def leave(self, row: Row) -> None:
        """As `RunningBatch`."""
        self._batch.leave(row)
