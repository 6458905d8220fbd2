"""What a teacher must reply while questions are generated, as pydantic models."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class _Reply(BaseModel):
    model_config = ConfigDict(extra="forbid")


class FrameCaption(_Reply):
    """What one frame shows, by its number in the request."""

    frame: int
    caption: Annotated[str, Field(min_length=1)]


class FrameCaptions(_Reply):
    """One caption for every frame of the request."""

    captions: list[FrameCaption]

    def in_order(self, count: int) -> list[str]:
        """The captions of frames 1..count, a line each. Raises `ValueError` where a frame is missing, repeated or unknown."""
        by_frame = {told.frame: " ".join(told.caption.split()) for told in self.captions}
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
