"""What `VideoRouter` is asked, and what it answers."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from videorouter.routers.answering.frame_plan import FramePlan
from videorouter.shards.policy import Policy


class AskedQuestion(NamedTuple):
    """A question, with its options where it has some; `text` is what the model is asked in place of the project's own wording.

    `between` is what the prompt says before each of the T frames and after the last, as in `Query`.
    """

    question: str
    options: Sequence[str] | None = None
    text: str | None = None
    between: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Answer:
    """One answer with everything that explains it.

    `choice` is the option's letter (None without options, or when the text chooses none). `relevance` holds one score
    in 0..1 per sampled frame where the Image Router ran. `tokens_by_frame` counts fed tokens per sampled frame. Where the
    model merges frames (Qwen-VL), a "frame" is a merged pair, and its second their middle.
    `seconds_by_stage`: decode, vision, route, prefill (to the first token), generate, total. `peak_memory` in bytes, of the
    GPU or else of the process, None where the system does not tell. `plan` is all of it for another model to feed.
    """

    text: str
    choice: str | None
    policy: Policy | None
    policy_probability: float | None
    relevance: list[float] | None
    tokens: int
    tokens_by_frame: list[int]
    frame_seconds: list[float]
    seconds_by_stage: dict[str, float]
    peak_memory: int | None
    system: str
    plan: FramePlan = field(repr=False)
