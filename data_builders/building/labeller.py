"""What the build asks of every way of labelling: a video prepared once, and all of its questions labelled or put aside."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from videorouter.data_builders.building.plan import VideoJob
from videorouter.data_builders.rejects import Reject, reject_of
from videorouter.data_builders.teacher.errors import TeacherReplyError
from videorouter.data_builders.teacher.teacher import Teacher
from videorouter.data_builders.videos import PreparedVideo, VideoFolder
from videorouter.shards.schema import LabelledQuestion, VideoQuestion

Labelled = tuple[list[LabelledQuestion], list[Reject]]


class Labeller(Protocol):
    """One way of labelling."""

    def prepare(self, job: VideoJob) -> PreparedVideo:
        """The frames of a video; called in a thread of its own. Raises `VideoError`: the video is put aside."""
        ...

    async def label(self, video: PreparedVideo, job: VideoJob) -> Labelled:
        """The labelled questions of one video, in order, and what was put aside. Raises `TeacherStopped`: all stops."""
        ...


class Recipe(Protocol):
    """A way of labelling, picklable: given the videos, it makes labellers, one a video, for a teacher."""

    @property
    def kinds(self) -> Sequence[str]:
        """The kinds of request that its labellers send to the teacher: the names of the prompts."""
        ...

    def __call__(self, videos: VideoFolder) -> Callable[[Teacher], Labeller]: ...


async def label_each(
    questions: Sequence[VideoQuestion], label_one: Callable[[VideoQuestion], Awaitable[LabelledQuestion]]
) -> Labelled:
    """Label questions concurrently; one whose labelling raises anything is put aside and the others continue.

    Raises `TeacherStopped`, and `AnswerNotKept` where the disk takes no more.
    """
    outcomes = await asyncio.gather(*(_label(question, label_one) for question in questions))
    labelled = [outcome for outcome in outcomes if isinstance(outcome, LabelledQuestion)]
    return labelled, [outcome for outcome in outcomes if isinstance(outcome, Reject)]


async def _label(
    question: VideoQuestion, label_one: Callable[[VideoQuestion], Awaitable[LabelledQuestion]]
) -> LabelledQuestion | Reject:
    try:
        return await label_one(question)
    except Exception as error:
        if (
            type(error) is ValueError
        ):  # a labeller's own words; its subclasses are of those who say more, or of nobody who knew
            return Reject(question.id, "label", "invalid", str(error))
        return reject_of(question.id, "teacher" if isinstance(error, TeacherReplyError) else "label", error)
