"""What a teacher may do instead of answering: stop the whole run, or spoil one item."""

from typing import ClassVar


class TeacherStopped(RuntimeError):
    """No more answers in this run; what is paid is kept, and the same command continues later."""


class TeacherUnavailable(TeacherStopped):
    """No endpoint could be reached, or none answers any more."""


class BudgetSpent(TeacherStopped):
    """The cap of the run folder is reached."""


class TeacherRefuses(TeacherStopped):
    """The endpoint refuses what this run asks, whatever the item: its key, model, parameters or limits have to be changed."""


class TeacherReplyError(ValueError):
    """An item cannot be labelled: two replies in a row were not of the schema, or one was no chat completion at all.

    `raw` holds the last reply or body, cut. `shape` says in a few words, without ids and numbers, what kind of badness it is,
    so that the same badness of several items is recognised; without one it is the verdict.
    """

    verdict: ClassVar[str] = "invalid_reply"
    conclusive: bool = True
    """Whether it may be the last of so many alike that the run is stopped."""
    moderation: bool = False
    """Whether the endpoint put it down to what the item shows or asks, so that other items may well be answered."""
    keys: tuple[str, ...] = ()
    """Those of the journal under which the bad replies are kept that were paid for."""

    def __init__(self, reason: str, raw: str, shape: str | None = None) -> None:
        super().__init__(reason)
        self.raw = raw
        self.shape = shape or self.verdict


class TeacherRefusal(TeacherReplyError):
    """The endpoint, or the model in its message's `refusal`, refused this one request; others may well be answered."""

    verdict = "refused"

    def __init__(self, reason: str, raw: str, shape: str | None = None, *, moderation: bool = False) -> None:
        super().__init__(reason, raw, shape)
        self.moderation = moderation


class TeacherCutOff(TeacherReplyError):
    """The reply reached the limit of tokens before its end."""

    verdict = "cut_off"


class TeacherFiltered(TeacherReplyError):
    """A content filter withheld the reply."""

    verdict = "filtered"
    moderation = True


class TeacherFailure(TeacherReplyError):
    """The endpoint failed on this one request again and again, while it is there for others. A rerun may succeed.

    How it fails is not told apart: a server that is asked too much breaks off, times out or answers 500 by turns. It is
    `conclusive` where it was tried for `--teacher.patience`, as others of its kind had failed before it.
    """

    verdict = "server_error"

    def __init__(self, reason: str, *, conclusive: bool = False) -> None:
        super().__init__(reason, "")
        self.conclusive = conclusive
