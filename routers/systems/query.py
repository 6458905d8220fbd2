"""What a system is asked: the question, and what is known around it. Loads without torch."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from videorouter.shards.policy import Policy

if TYPE_CHECKING:
    from videorouter.routers.systems.looks import Looks


@dataclass(frozen=True)
class Truth:
    """What is known to be right about a question: its policy and one bool per sampled frame. Read by `oracle` alone."""

    policy: Policy
    relevant: tuple[bool, ...]


@dataclass(frozen=True)
class Query:
    """One question as the systems see it. Routers read `question`, never the options.

    `text` is what follows the frames in place of question and options in the house's own wording. `seconds` says when each of
    the T frames is shown, where that is known. `frames` uint8 RGB `[T, H, W, 3]` are the frames as
    sampled, for systems that look at them with an encoder of their own. `between` is what the prompt says before each of the T
    frames and after the last, T + 1 texts, such as speech; no router reads it. `looks` is given where the same question is
    asked of several systems or at several budgets.
    """

    question: str
    options: tuple[str, ...] | None = None
    truth: Truth | None = None
    seconds: tuple[float, ...] | None = None
    frames: np.ndarray | None = field(default=None, compare=False, repr=False)
    text: str | None = None
    between: tuple[str, ...] | None = None
    looks: "Looks | None" = field(default=None, compare=False, repr=False)
