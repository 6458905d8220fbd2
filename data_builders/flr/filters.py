"""The filters a generated question must pass, cheapest first (paper section 4, data; prompts and criteria ours), and their yields.

Each filter raises `Filtered` with its own name, and what `Teacher.ask` raises.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table

from videorouter.data_builders.rejects import Filtered, Reject
from videorouter.data_builders.teacher.answering import JUDGE, answer_from, is_right
from videorouter.data_builders.teacher.replies import Coherence, ProposedQuestion, VideoAnswer
from videorouter.data_builders.teacher.request import load_prompt, options_block
from videorouter.data_builders.teacher.teacher import Teacher
from videorouter.data_builders.videos import PreparedVideo
from videorouter.shards.schema import VideoQuestion

COUNTERFACTUAL = load_prompt("counterfactual")
COHERENCE = load_prompt("coherence")
NECESSITY_PROMPTS = [prompt.name for prompt in (COUNTERFACTUAL, JUDGE)]
PROPOSAL = "proposal"
"""The first filter's name: what is proposed must be a question about these frames at all."""


@dataclass(frozen=True)
class Candidate:
    """A question that is not filtered yet; `evidence` are its frames, counted from 0, in order."""

    question: VideoQuestion
    evidence: tuple[int, ...]
    reason: str
    proposal: ProposedQuestion

    def relevant(self, frames: int) -> list[bool]:
        """One bool per sampled frame."""
        carries = set(self.evidence)
        return [frame in carries for frame in range(frames)]


async def coherence(teacher: Teacher, video: PreparedVideo, captions: Sequence[str], candidate: Candidate) -> None:
    """Question, answer and evidence must fit, judged by their texts alone."""
    values = {
        "question": candidate.question.question,
        "options": options_block(candidate.question.options),
        "answer": candidate.question.answer,
        "captions": caption_lines(captions, candidate.evidence),
    }
    judged = await teacher.ask(COHERENCE.fill(values), [], Coherence, lambda reply: reply, COHERENCE.name)
    if not judged.coherent:
        raise Filtered("coherence", f"question, answer and evidence do not fit: {judged.reason}")


async def consistency(teacher: Teacher, video: PreparedVideo, captions: Sequence[str], candidate: Candidate) -> None:
    """Asked again with the evidence frames alone, the teacher must give the proposed answer."""
    reply = await answer_from(teacher, candidate.question, video.pictures(candidate.evidence))
    if not await is_right(teacher, candidate.question, reply):
        raise Filtered(
            "consistency", f"from the evidence frames alone {_said(reply)}, not {candidate.question.answer!r}"
        )


async def necessity(teacher: Teacher, video: PreparedVideo, captions: Sequence[str], candidate: Candidate) -> None:
    """Asked with all frames but the evidence, the teacher must find that the question cannot be answered.

    A wrong answer is not enough, and one outside the options counts, too: it comes from another moment that the question
    fits as well. Where every frame is evidence none is left to answer from, and nothing is asked.
    """
    others = without(candidate.relevant(len(video.jpegs)))
    if not others:
        return
    reply = await answer_from(teacher, candidate.question, video.pictures(others), COUNTERFACTUAL)
    if reply.answerable:
        raise Filtered(
            "necessity", f"without the evidence frames {_said(reply)}: they are not needed, or not all of them"
        )


FILTERS = (coherence, consistency, necessity)
GENERATED = (PROPOSAL, *(passes.__name__ for passes in FILTERS))
"""The filters of `flr generate`, in their order."""
ANNOTATED = ("necessity",)
"""The filter of `flr annotate`."""


async def check_marked_frames(
    teacher: Teacher, video: PreparedVideo, question: VideoQuestion, relevant: Sequence[bool]
) -> None:
    """The necessity check of a question that somebody else wrote; `relevant` are the frames marked for it, `[T]`.

    Without these frames the teacher must not give the right answer; a wrong one passes, because options invite guesses
    and the question cannot be replaced. Where no answer is known it must find that there is none.
    """
    others = without(relevant)
    if not others:
        return
    reply = await answer_from(teacher, question, video.pictures(others), COUNTERFACTUAL)
    if reply.answerable and (question.answer is None or await is_right(teacher, question, reply)):
        raise Filtered("necessity", f"without the {sum(relevant)} frames marked as evidence {_said(reply)}")


def without(relevant: Iterable[bool]) -> list[int]:
    """The frames that are left when the relevant ones are masked."""
    return [frame for frame, carries in enumerate(relevant) if not carries]


@dataclass(frozen=True)
class FilterYield:
    """How many questions came to a filter, and how many it put aside."""

    filter: str
    entered: int
    put_aside: int

    @property
    def passed(self) -> int:
        return self.entered - self.put_aside

    @property
    def share(self) -> float | None:
        """The filter's yield: passed of entered; None where nothing came."""
        return self.passed / self.entered if self.entered else None


def filter_yields(rejects: Iterable[Reject], accepted: int, filters: Sequence[str] = GENERATED) -> list[FilterYield]:
    """The yield of each of `filters`, in that order, of a build that put `rejects` aside and labelled `accepted` questions.

    Questions that no filter put aside but a teacher without a valid reply are in none of the counts.
    """
    caught = Counter(reject.verdict for reject in rejects if reject.stage == "filter")
    left = accepted
    yields = []
    for name in reversed(filters):
        left += caught[name]
        yields.append(FilterYield(name, left, caught[name]))
    return yields[::-1]


def yield_table(yields: Iterable[FilterYield]) -> Table:
    """The yields, to be printed."""
    table = Table("filter", "entered", "put aside", "passed", "yield", title="what the filters left")
    for row in yields:
        share = "" if row.share is None else f"{row.share:.3f}"
        table.add_row(row.filter, str(row.entered), str(row.put_aside), str(row.passed), share)
    return table


def yield_notes(yields: Iterable[FilterYield]) -> dict[str, Any]:
    """The yields as notes for the manifest."""
    return {"filters": [asdict(row) | {"passed": row.passed, "yield": row.share} for row in yields]}


def caption_lines(captions: Sequence[str], frames: Iterable[int]) -> str:
    """The captions of some frames as a prompt shows them, a line each, numbered from 1 within the video."""
    return "\n".join(f"Frame-{frame + 1}: {captions[frame]}" for frame in frames)


def _said(reply: VideoAnswer) -> str:
    return f"the teacher says {reply.answer!r}" if reply.answerable else "the teacher finds no answer"
