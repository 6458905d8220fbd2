"""Prompts that are decoded together, each joining and leaving between two tokens: continuous batching over one cache (ours).

Prompts are prefilled one by one, then decoded in one pass a token. A prefill is bound by arithmetic, and nothing is saved by
padding prompts to one length; a decoded token is bound by reading the weights, once for all of them. So a prompt's first token
does not depend on the batch. What follows is what the prompt alone would get, up to rounding.

Rows end at the same place of the cache and begin behind padding of their own, which no token sees. As positions are each row's
own, padding can be added in front when a longer prompt joins, and taken away when it leaves.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from videorouter.routers.backbones.finite import NotFiniteError, finite
from videorouter.routers.backbones.prefill import LOGITS, hidden_states
from videorouter.routers.backbones.prompt import Prompt, SharedPrefix, whole_cache
from videorouter.routers.backbones.rope import rotated_for

Choose = Callable[[Tensor], int]
"""The next token of one row by its finite logits `[V]`."""
Told = Callable[["Row"], bool | None]
"""Hears of a row after each of its tokens, also the last one (`running` is False by then); True ends the row."""


def greedy(logits: Tensor) -> int:
    """The likeliest token; waits for the device."""
    return int(logits.argmax())


def unheard(row: "Row") -> None:
    """Lets the row run until the end token or its limit."""


@dataclass(eq=False)
class Row:
    """One prompt's answer as it grows.

    Args:
        length: tokens of the prompt
        position: that of the first token behind it
        limit: most new tokens
        axes: what stands before the batch in the shape of its positions: `(3,)` for M-RoPE
        ids: until now, the end token included
        text: until now, where one who is `told` writes it
        running: whether more may come
        ended: whether the end token came, or what is `told` said that the answer is whole
        error: what ended the row otherwise
        prefill_seconds: until the first token
        generate_seconds: from the first token to the last
    """

    length: int
    position: int
    limit: int
    axes: tuple[int, ...] = ()
    choose: Choose = greedy
    told: Told = unheard
    ids: list[int] = field(default_factory=list)
    text: str = ""
    running: bool = True
    ended: bool = False
    error: Exception | None = None
    prefill_seconds: float = 0.0
    generate_seconds: float = 0.0
    first_at: float = 0.0

    @property
    def held(self) -> int:
        """Tokens in the cache: the last one that was chosen was not fed yet."""
        return self.length + len(self.ids) - 1


class RunningBatch:
    """Rows of one conditional generation class of transformers; for one thread at a time."""

    def __init__(self, model: Any, ends: set[int]) -> None:
        """`ends` are the tokens that end an answer."""
        self._model, self._language, self._ends = model, model.model.language_model, ends
        self._rows: list[Row] = []
        self._cache: Any = whole_cache()  # Any: layers without keys are none of its
        self._joining: list[tuple[Row, list[tuple[Tensor, Tensor]]]] = []
        self._device = torch.device("cpu")

    def __len__(self) -> int:
        """Rows that run."""
        return len(self._rows) + len(self._joining)

    @property
    def cached_tokens(self) -> int:
        """Places of the cache, padding included: rows times the tokens of the longest."""
        return len(self._rows) * int(self._cache.get_seq_length()) + sum(row.held for row, _ in self._joining)

    @torch.no_grad()
    def join(
        self,
        prompt: Prompt,
        max_new_tokens: int,
        *,
        choose: Choose = greedy,
        told: Told = unheard,
        shared: SharedPrefix | None = None,
    ) -> Row:
        """Prefills the prompt and chooses its first token, the only one of a row that comes back no longer `running`.

        `shared` remembers a video's prompt. Raises `NotFiniteError`, and what `choose` and `told` raise: then the prompt did not
        join, and the others are as they were.
        """
        started = time.perf_counter()
        axes = () if prompt.position_ids is None else tuple(prompt.position_ids.shape[:-2])
        row = Row(len(prompt), prompt.following, max_new_tokens, axes, choose, told)
        prefix = shared or SharedPrefix()
        try:
            own: Any = prefix.cache_for(prompt, self._language)
            states = hidden_states(self._language, prompt, own)
            token = choose(finite(self._model.lm_head(states[:, -1])[0], LOGITS, self._model.name_or_path))
        except BaseException:
            prefix.forget()  # it may hold a part of the layers
            raise
        row.first_at = time.perf_counter()
        row.prefill_seconds = row.first_at - started
        self._append(row, token)
        if row.running:
            self._device = prompt.embeddings.device
            self._joining.append((row, [(layer.keys, layer.values) for layer in own.layers]))
        return row

    @torch.no_grad()
    def step(self) -> list[Row]:
        """The next token of every row in one pass; those that this ended, which have left.

        NaN in a row's logits, and what its `choose` or `told` raises, is that row's `error`. What the pass itself raises (memory)
        ends all rows with it; the batch is empty then, and can be joined again.
        """
        try:
            self._admit()
            if not self._rows:
                return []
            logits = self._next_logits()
            sound, likeliest = torch.stack([torch.isfinite(logits).all(-1).long(), logits.argmax(-1)]).tolist()
        except Exception as error:
            return self._fail(error)
        for number, row in enumerate(self._rows):
            try:
                if not sound[number]:
                    raise NotFiniteError(LOGITS, logits.dtype, self._model.name_or_path)
                self._append(row, likeliest[number] if row.choose is greedy else row.choose(logits[number]))
            except Exception as error:
                row.running, row.error = False, error
        over = [row for row in self._rows if not row.running]
        self._let_go()
        return over

    def leave(self, row: Row) -> None:
        """The row ends at once, between two steps, and is not `ended`; one that has left already stays as it is."""
        row.running = False
        self._joining = [(other, own) for other, own in self._joining if other is not row]
        self._let_go()

    def _append(self, row: Row, token: int) -> None:
        row.ids.append(token)
        row.generate_seconds = time.perf_counter() - row.first_at
        row.ended = token in self._ends
        row.running = not row.ended and len(row.ids) < row.limit
        if row.told(row):
            row.running = False

    def _next_logits(self) -> Tensor:
        """`[B, V]` of the tokens behind the last ones, which the cache holds from then on."""
        rows, before = self._rows, self._cache.get_seq_length()
        each = [[row.ids[-1], row.position + len(row.ids) - 1, before - row.held] for row in rows]
        last, positions, gaps = torch.tensor(each, device=self._device)[:, :, None].unbind(1)
        padded = any(gap for _, _, gap in each)  # without a mask the kernels are the fastest
        axes = max(row.axes for row in rows)  # a prompt of text alone may have none where others have three
        with rotated_for(self._language, [row.length for row in rows]):
            states = self._language(
                inputs_embeds=self._model.get_input_embeddings()(last),
                attention_mask=(torch.arange(before + 1, device=self._device) >= gaps).long() if padded else None,
                position_ids=positions.expand(*axes, -1, -1),
                past_key_values=self._cache,
                use_cache=True,
            ).last_hidden_state
        logits: Tensor = self._model.lm_head(states[:, -1])
        return logits

    def _admit(self) -> None:
        """Put the keys and values of those that joined beside the others, layer by layer so that one alone is held twice."""
        if not self._joining:
            return
        joining, self._joining = self._joining, []
        before = self._cache.get_seq_length()
        lengths = [before] * bool(self._rows) + [row.held for row, _ in joining]
        gaps = [max(lengths) - length for length in lengths]
        self._rows = self._rows + [row for row, _ in joining]
        for number in range(len(joining[0][1])):
            parts = [own.pop(0) for _, own in joining]
            if before:
                parts.insert(0, (self._cache.layers[number].keys, self._cache.layers[number].values))
            keys, values = (_side_by_side(part, gaps) for part in zip(*parts, strict=True))
            if not before:
                self._cache.update(keys[..., :0, :], values[..., :0, :], number)  # makes the layer and copies nothing
            self._cache.layers[number].keys, self._cache.layers[number].values = keys, values

    def _let_go(self) -> None:
        """Take rows that no longer run out of the cache, and the padding that all the others share."""
        kept = [number for number, row in enumerate(self._rows) if row.running]
        if len(kept) == len(self._rows):
            return
        self._rows = [self._rows[number] for number in kept]
        if not kept:
            self._cache = whole_cache()
            return
        surplus = self._cache.get_seq_length() - max(row.held for row in self._rows)
        for layer in self._cache.layers:
            layer.keys, layer.values = layer.keys[kept, :, surplus:], layer.values[kept, :, surplus:]

    def _fail(self, error: Exception) -> list[Row]:
        over = [*self._rows, *(row for row, _ in self._joining)]
        for row in over:
            row.running, row.error = False, error
        self._rows, self._joining, self._cache = [], [], whole_cache()
        return over


def _side_by_side(parts: tuple[Tensor, ...], gaps: list[int]) -> Tensor:
    """`[B, heads, L, d]` of keys or values, each padded in front by its gap; the only one as it is."""
    padded = [pad(part, (0, 0, gap, 0)) if gap else part for part, gap in zip(parts, gaps, strict=True)]
    return padded[0] if len(padded) == 1 else torch.cat(padded)
