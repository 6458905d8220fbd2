"""What a teacher must reply, as pydantic models: their JSON schema is sent with the request, the reply is held to it.

Names and docstrings are part of the schemas, and so of the keys under which answers are kept: changing one means paying again.
"""

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from videorouter.shards.schema import Score


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Reply(_Strict):
    """What a teacher replies to one request."""

    tokens: ClassVar[int] = 1024
    tokens_a_picture: ClassVar[int] = 0

    @classmethod
    def most_tokens(cls, pictures: int) -> int:
        """The limit of tokens sent with a request of that many pictures, unless the user sets one.

        Several times what replies take (`docs/building-datasets.md`): it is there to end a model that goes round in circles.
        """
        return cls.tokens + cls.tokens_a_picture * pictures


class ScoredFrame(_Strict):
    """The score of one frame, by its number in the request."""

    frame: int
    score: Score


class FrameScores(Reply):
    """One score for every frame of the request."""

    tokens_a_picture = 48

    scores: list[ScoredFrame]
    reason: str

    def in_order(self, count: int) -> list[int]:
        """The scores of frames 1..count. Raises `ValueError` where a frame is missing, repeated or unknown."""
        by_frame = {scored.frame: scored.score for scored in self.scores}
        if len(self.scores) != count or set(by_frame) != set(range(1, count + 1)):
            raise ValueError(f"scores are needed for each of the frames 1 to {count} exactly once")
        return [by_frame[frame] for frame in range(1, count + 1)]


class VideoAnswer(Reply):
    """An answer, or that the frames do not allow one."""

    answerable: bool
    answer: str
    reason: str


class Judgement(Reply):
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


class QuestionCategory(Reply):
    """The category of a question."""

    category: Category
    reason: str


class FrameCaption(_Strict):
    """What one frame shows, by its number in the request."""

    frame: int
    caption: Annotated[str, Field(min_length=1)]


class FrameCaptions(Reply):
    """One caption for every frame of the request."""

    tokens_a_picture = 192

    captions: list[FrameCaption]

    def in_order(self, count: int) -> list[str]:
        """The captions of frames 1..count, a line each. Raises `ValueError` where a frame is missing, repeated or unknown."""
        by_frame = {one.frame: " ".join(one.caption.split()) for one in self.captions}
        if len(self.captions) != count or set(by_frame) != set(range(1, count + 1)):
            raise ValueError(f"captions are needed for each of the frames 1 to {count} exactly once")
        return [by_frame[frame] for frame in range(1, count + 1)]


class ProposedQuestion(_Strict):
    """A question with its answer and the numbers of all frames that carry it; an open question has no options."""

    question: str
    options: list[str]
    answer: str
    evidence: list[int]
    task_type: str
    reason: str


class ProposedQuestions(Reply):
    """What a teacher would ask about a video. What is wrong with one question is no fault of the others."""

    tokens = 8192

    questions: list[ProposedQuestion]


class Coherence(Reply):
    """Whether a question, its answer and its evidence fit."""

    coherent: bool
    reason: str
