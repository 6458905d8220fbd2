"""How a paid reply ended, and the error of one that did not end well."""

from enum import StrEnum

from videorouter.data_builders.teacher.complaints import LONGEST_BODY
from videorouter.data_builders.teacher.errors import TeacherCutOff, TeacherFiltered, TeacherRefusal, TeacherReplyError
from videorouter.data_builders.teacher.refusals import names_moderation, shape_of


class Ending(StrEnum):
    """Why a reply ended where it does."""

    COMPLETE = "complete"
    CUT_OFF = "cut_off"
    FILTERED = "filtered"
    REFUSED = "refused"
    FAILED = "failed"


_BY_REASON = {
    Ending.CUT_OFF: ("length", "max_tokens", "max_output_tokens", "max_completion_tokens", "model_length"),
    Ending.FILTERED: (
        *("content_filter", "content_filtered", "safety", "recitation", "prohibited_content", "blocklist", "spii"),
        *("sensitive", "image_safety", "guardrail_intervened"),
    ),
    Ending.REFUSED: ("refusal",),
    Ending.FAILED: ("error", "abort", "network_error", "insufficient_system_resource", "malformed_function_call"),
}
_ENDINGS = {reason: ending for ending, reasons in _BY_REASON.items() for reason in reasons}


def ending_of(finish_reason: object) -> Ending:
    """The ending that a `finish_reason` of any vendor names; unknown ones are complete, as the reply itself will show."""
    if isinstance(finish_reason, dict):  # {"type": "length", "length": 64}
        finish_reason = finish_reason.get("type")
    return _ENDINGS.get(str(finish_reason).casefold(), Ending.COMPLETE)


def withheld(ending: Ending, raw: str) -> TeacherReplyError | None:
    """The error of a reply that was refused or filtered, whatever is left of it."""
    if ending is Ending.FILTERED:
        return TeacherFiltered("the reply was filtered: a content filter of the endpoint withheld it", raw)
    if ending is Ending.REFUSED:
        reason = f"the model refused: {' '.join(raw.split())[:500] or 'without a word'}"
        return TeacherRefusal(reason, raw, "the model refused", moderation=names_moderation(raw))
    return None


def unusable(ending: Ending, raw: str, schema: str, problem: str, most_tokens: int) -> TeacherReplyError:
    """The error of a reply that is no valid `schema`, after it was asked for again; `most_tokens` was the limit it had then."""
    if ending is Ending.CUT_OFF:
        reason = f"the reply was cut off twice, at last at {most_tokens} tokens: raise --teacher.max_tokens ({problem})"
        return TeacherCutOff(reason, raw[:LONGEST_BODY])
    reason = f"the reply is not a valid {schema} after one correction: {problem}"
    return TeacherReplyError(reason, raw, f"no valid {schema}: {shape_of(None, None, problem)}")
