"""What a system is asked: the question, what is known around it, and the text that follows the frames. Loads without torch."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from videorouter.shards.policy import Policy

if TYPE_CHECKING:
    from videorouter.routers.systems.remembered_states import RememberedStates  # which imports torch

Computed = TypeVar("Computed")


@dataclass
class PassCache:
    """Results of model passes about one question and one video, by what was computed; a budget is never part of that.

    Results are the same as without; seconds are not, so latency is measured without.
    """

    results: dict[Hashable, Any] = field(default_factory=dict, repr=False)


def cached(cache: PassCache | None, key: Hashable, compute: Callable[[], Computed]) -> Computed:
    """What `cache` holds under `key`, or what `compute` returns now; without a cache always the latter."""
    if cache is None:
        return compute()
    if key not in cache.results:
        cache.results[key] = compute()
    result: Computed = cache.results[key]
    return result


@dataclass(frozen=True)
class Truth:
    """What is known to be right about a question: its policy and one bool per sampled frame. Read by `oracle` alone."""

    policy: Policy
    relevant: tuple[bool, ...]


@dataclass(frozen=True)
class Query:
    """One question as the systems see it. Routers read `question`, never the options.

    `text` is what follows the frames in place of question and options in the project's own wording. `seconds` says when each of
    the T frames is shown, where that is known. `frames` uint8 RGB `[T, H, W, 3]` are the frames as
    sampled, for systems that look at them with an encoder of their own. `between` is what the prompt says before each of the T
    frames and after the last, T + 1 texts, such as speech; no router reads it. `cache` is given where the same question is
    asked of several systems or at several budgets. `grid` is (rows, columns) of each frame's tokens, where that follows the
    video; None is the model's own. `states` is given where what the Image Router made of the video's frames is kept for the next
    question.
    """

    question: str
    options: tuple[str, ...] | None = None
    truth: Truth | None = None
    seconds: tuple[float, ...] | None = None
    frames: np.ndarray | None = field(default=None, compare=False, repr=False)
    text: str | None = None
    between: tuple[str, ...] | None = None
    cache: PassCache | None = field(default=None, compare=False, repr=False)
    grid: tuple[int, int] | None = None
    states: "RememberedStates | None" = field(default=None, compare=False, repr=False)

    def grid_or(self, usual: tuple[int, int] | None) -> tuple[int, int]:
        """The video's grid, or the `usual` one of the model. Raises `ValueError` where neither is known."""
        if (grid := self.grid or usual) is None:
            raise ValueError("this model's tokens a frame follow the video: say their grid as `Query(..., grid=...)`")
        return grid


def letters(options: Sequence[str]) -> list[str]:
    """The option letters: A, B, C, ... one per option. Raises `ValueError` beyond 26 options."""
    if not 1 <= len(options) <= 26:
        raise ValueError(f"{len(options)} options: between 1 and 26 are needed to letter them")
    return [chr(ord("A") + i) for i in range(len(options))]


def lettered(options: Sequence[str]) -> list[str]:
    """The options as they stand in a prompt: `(A) first`, `(B) second`, ..."""
    return [f"({letter}) {option}" for letter, option in zip(letters(options), options, strict=True)]


ANSWER_WITH_LETTER = "Answer with the option's letter only."


def question_text(query: Query) -> str:
    """The text that a query brings; else the question alone, or with its lettered options and the wish for one letter."""
    if query.text is not None:
        return query.text
    if not query.options:
        return query.question
    return "\n".join([query.question, "Options:", *lettered(query.options), ANSWER_WITH_LETTER])
