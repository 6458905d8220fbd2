"""What a teacher must reply, as pydantic models: their JSON schema is sent with the request, the reply is held to it.

Names and docstrings are part of the schemas, and so of the keys under which answers are kept: changing one means paying again.
"""

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from videorouter.shards.schema import Score


class _Reply(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ScoredFrame(_Reply):
    """The score of one frame, by its number in the request."""

    frame: int
    score: Score


class FrameScores(_Reply):
    """One score for every frame of the request."""

    scores: list[ScoredFrame]
    reason: str

    def in_order(self, count: int) -> list[int]:
        """The scores of frames 1..count. Raises `ValueError` where a frame is missing, repeated or unknown."""
        by_frame = {scored.frame: scored.score for scored in self.scores}
        if len(self.scores) != count or set(by_frame) != set(range(1, count + 1)):
            raise ValueError(f"scores are needed for each of the frames 1 to {count} exactly once")
        return [by_frame[frame] for frame in range(1, count + 1)]


class VideoAnswer(_Reply):
    """An answer, or that the frames do not allow one."""

    answerable: bool
    answer: str
    reason: str


class Judgement(_Reply):
    """Whether a reply to a question says the same as its known answer."""

    same: bool
    reason: str


class Category(StrEnum):
    """Question categories: what one must look at to answer (ours; the paper's list is not published)."""

    DETAIL = "detail_at_a_moment"
    PLACE = "place_at_a_moment"
    COUNTING = "counting"
    ABSENCE = "absence"
    THEME = "overall_theme"
    ORDER = "temporal_order"
    ACTION = "action"
    OTHER = "other"


class QuestionCategory(_Reply):
    """The category of a question."""

    category: Category
    reason: str


class FrameCaption(_Reply):
    """What one frame shows, by its number in the request."""

    frame: int
    caption: Annotated[str, Field(min_length=1)]


class FrameCaptions(_Reply):
    """One caption for every frame of the request."""

    captions: list[FrameCaption]

    def in_order(self, count: int) -> list[str]:
        """The captions of frames 1..count, a line each. Raises `ValueError` where a frame is missing, repeated or unknown."""
        by_frame = {one.frame: " ".join(one.caption.split()) for one in self.captions}
        if len(self.captions) != count or set(by_frame) != set(range(1, count + 1)):
            raise ValueError(f"captions are needed for each of the frames 1 to {count} exactly once")
        return [by_frame[frame] for frame in range(1, count + 1)]


class ProposedQuestion(_Reply):
    """A question with its answer and the numbers of all frames that carry it; an open question has no options."""

    question: str
    options: list[str]
    answer: str
    evidence: list[int]
    task_type: str
    reason: str


class ProposedQuestions(_Reply):
    """What a teacher would ask about a video. What is wrong with one question is no fault of the others."""

    questions: list[ProposedQuestion]


class Coherence(_Reply):
    """Whether a question, its answer and its evidence fit."""

    coherent: bool
    reason: str
