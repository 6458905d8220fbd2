"""What a teacher may do instead of answering: stop the whole run, or spoil one item."""

from typing import ClassVar


class TeacherStopped(RuntimeError):
    """No more answers in this run; what is paid is kept, and the same command continues later."""


class TeacherUnavailable(TeacherStopped):
    """No endpoint could be reached, or all refuse every request."""


class BudgetSpent(TeacherStopped):
    """The cap of the run folder is reached."""


class TeacherReplyError(ValueError):
    """Two replies in a row were not of the schema, or one was no chat completion at all; `raw` holds the last one."""

    verdict: ClassVar[str] = "invalid_reply"

    def __init__(self, reason: str, raw: str) -> None:
        super().__init__(reason)
        self.raw = raw


class TeacherRefusal(TeacherReplyError):
    """The endpoint refused this one request (too long, not allowed, ...); other requests may well be answered."""

    verdict = "refused"


class TeacherFailure(TeacherReplyError):
    """The endpoint failed on this one request again and again, while it is there for others. A rerun may succeed."""

    verdict = "server_error"
