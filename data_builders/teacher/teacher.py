"""Asks for JSON of a schema and holds the reply to it; what was asked before is read from the journal, not paid again."""

import asyncio
import copy
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

from pydantic import ValidationError

from videorouter.data_builders.teacher.config import TeacherConfig, Usage
from videorouter.data_builders.teacher.endings import Ending, unusable, withheld
from videorouter.data_builders.teacher.errors import TeacherFailure, TeacherRefuses, TeacherReplyError
from videorouter.data_builders.teacher.fault import Asking, Heard, Met, Streaks, keys_of
from videorouter.data_builders.teacher.journal import Answer, Journal
from videorouter.data_builders.teacher.replies import Reply
from videorouter.data_builders.teacher.reply_text import json_text
from videorouter.data_builders.teacher.request import Picture, Request
from videorouter.data_builders.teacher.sent import Sent

if TYPE_CHECKING:
    from videorouter.data_builders.teacher.client import TeacherClient

LAST_ANSWERS = 3.0
"""Seconds that the answers in flight are awaited after Ctrl-C, which is to end a command within five."""

ReplyModel = TypeVar("ReplyModel", bound=Reply)
Checked = TypeVar("Checked")


@dataclass
class _Shared:
    """What all views of one teacher share."""

    client: "TeacherClient"
    journal: Journal
    streaks: Streaks
    usage: Usage = field(default_factory=Usage)
    used: Usage = field(default_factory=Usage)
    heard: Heard = field(default_factory=Heard)
    sent: dict[str, Sent] = field(default_factory=dict)
    asking: dict[str, asyncio.Task[Answer]] = field(default_factory=dict)


@dataclass
class _Trace:
    """The keys of the replies that one question to the teacher took, and whether the last was kept from before."""

    keys: list[str] = field(default_factory=list)
    kept: bool = False


class Teacher:
    """The teacher as the labellers of one shard see it; `about` gives a view for one video."""

    def __init__(
        self,
        config: TeacherConfig,
        client: "TeacherClient | None" = None,
        journal: Journal | None = None,
        streaks: Streaks | None = None,
    ) -> None:
        self.config = config
        self.video = ""
        from videorouter.data_builders.teacher.client import TeacherClient  # help comes without an HTTP client

        self._shared = _Shared(client or TeacherClient(config), journal or Journal(), streaks or Streaks())

    @property
    def usage(self) -> Usage:
        """What was paid through it."""
        return self._shared.usage

    @property
    def used(self) -> Usage:
        """What all answers that it gave cost when they were paid."""
        return self._shared.used

    @property
    def heard(self) -> Heard:
        """What its requests came to."""
        return self._shared.heard

    @property
    def sent(self) -> dict[str, Sent]:
        """What was paid through it, by kind of request."""
        return self._shared.sent

    @property
    def streaks(self) -> Streaks:
        """Whose fault refusals are: this process's count."""
        return self._shared.streaks

    def about(self, video: str) -> "Teacher":
        """The same teacher, asked about `video`: journal, client and what is in flight are shared."""
        view = copy.copy(self)
        view.video = video
        return view

    async def ask(
        self,
        text: str,
        pictures: Sequence[Picture],
        schema: type[ReplyModel],
        check: Callable[[ReplyModel], Checked],
        kind: str | None = None,
    ) -> Checked:
        """Send one prompt with its pictures and return `check(reply)` of the parsed reply.

        `kind` names requests that an endpoint takes or refuses alike: a prompt's name, or else the schema's. A reply that is
        not of `schema`, or on which `check` raises `ValueError`, is asked for once more, with the error, and with twice the
        tokens: it may have been cut off.

        Raises `TeacherReplyError` when the second reply fails too (`TeacherCutOff` where it was cut off again),
        `TeacherRefusal`, `TeacherFiltered` or `TeacherFailure` where the endpoint refuses, filters or fails on this request, and
        `TeacherStopped` when there are no more answers.
        """
        kind, trace = kind or schema.__name__, _Trace()
        request = Request(self.config.model, text, tuple(pictures), schema, parameters=self.config.parameters)
        asking = self._shared.streaks.began(kind, self.video, len(pictures))
        try:
            checked = await self._valid(request, schema, check, asking, trace)
        except TeacherReplyError as error:
            error.keys = tuple(trace.keys)
            self._met(asking, error)
            raise
        except BaseException:
            self._shared.streaks.left(asking)
            raise
        self._shared.heard.succeeded(asking, trace.kept)
        self._shared.streaks.succeeded(asking, trace.kept)
        return checked

    async def draining(self, work: Awaitable[Checked]) -> Checked:
        """Await work that asks; where it is cancelled or fails, await the requests in flight as `drain` does."""
        try:
            return await work
        except BaseException as error:
            await self.drain(error)
            raise

    async def drain(self, error: BaseException) -> None:
        """Start no request any more, let those in flight end, and keep their answers: they are paid.

        Bad replies that may be the run's fault are retired, so that a later run asks again. Where `error` is an interruption the
        requests in flight have `LAST_ANSWERS` seconds; what comes later is asked again by the next run.
        """
        self._shared.client.close()
        if self._shared.asking:
            await asyncio.wait(
                self._shared.asking.values(),
                timeout=LAST_ANSWERS if isinstance(error, asyncio.CancelledError) else None,
            )
        self._shared.journal.retire(keys_of(self._shared.streaks.doubts))

    async def _valid(
        self,
        request: Request,
        schema: type[ReplyModel],
        check: Callable[[ReplyModel], Checked],
        asking: Asking,
        trace: "_Trace",
    ) -> Checked:
        """The checked reply to a request, or to its one correction."""
        answer = await self._traced(request, asking, trace)
        checked, problem, _ = _checked(answer, schema, check)
        if problem is not None:
            correction = f"This reply is not valid: {problem}. Reply again, with JSON of the requested schema only."
            request = replace(request, correcting=(answer.raw, correction))
            answer = await self._traced(request, asking, trace)
            checked, problem, shape = _checked(answer, schema, check)
            if problem is not None:
                error = unusable(answer.ending, answer.raw, schema.__name__, problem, request.most_tokens)
                error.shape = f"{error.verdict} {schema.__name__}: {shape}"
                raise error
        return checked  # type: ignore[return-value]

    def _met(self, asking: Asking, error: TeacherReplyError) -> None:
        """Count what was met in place of a good answer. Raises `TeacherRefuses` where it is the run's fault; all stop then."""
        met = self._of(asking, error)
        self._shared.heard.met.append(met)
        try:
            self._shared.streaks.met(asking, met, self.config.concurrency)
        except TeacherRefuses as stop:
            self._shared.client.close(stop)
            raise

    def _of(self, asking: Asking, error: TeacherReplyError) -> Met:
        return Met(
            asking.kind,
            asking.video,
            asking.size,
            error.shape,
            " ".join(str(error).split()),
            error.keys,
            error.moderation,
            self._shared.journal.part,
            asking.began,
            error.conclusive,
        )

    async def _traced(self, request: Request, asking: Asking, trace: "_Trace") -> Answer:
        trace.kept = self._shared.journal.find(request.key) is not None
        answer = await self._answer(request, asking)
        trace.keys.append(request.key)
        return answer

    async def _answer(self, request: Request, asking: Asking) -> Answer:
        """The reply: kept from before, in flight for another question, or asked for now."""
        key, shared = request.key, self._shared
        answer = shared.journal.find(key)
        if answer is None:
            if key not in shared.asking:
                shared.asking[key] = asyncio.create_task(self._pay(key, request, asking))
                shared.asking[key].add_done_callback(lambda task: self._forget(key, task))
            answer = await asyncio.shield(shared.asking[key])
        shared.used += answer.usage
        return answer

    async def _pay(self, key: str, request: Request, asking: Asking) -> Answer:
        async def keep(answer: Answer) -> None:
            self._shared.usage += answer.usage
            self._shared.sent.setdefault(asking.kind, Sent()).add(request, answer.usage, time.monotonic() - start)
            await self._shared.journal.keep(key, answer)

        def failing_since(failure: TeacherFailure) -> float | None:
            return self._shared.streaks.failing_since(self._of(asking, failure))

        start = time.monotonic()
        return await self._shared.client.send(request, keep, failing_since)

    def _forget(self, key: str, task: asyncio.Task[Answer]) -> None:
        del self._shared.asking[key]
        if not task.cancelled():
            task.exception()  # marks it as retrieved: those who wait get it, and nobody else needs it


def _checked(
    answer: Answer, schema: type[ReplyModel], check: Callable[[ReplyModel], Checked]
) -> tuple[Checked | None, str | None, str]:
    """The checked reply, or what is wrong with it, and that in words that are the same for other replies.

    Raises `TeacherRefusal` or `TeacherFiltered`: asking again is no use.
    """
    if (no_reply := withheld(answer.ending, answer.raw)) is not None:
        raise no_reply
    try:
        return check(schema.model_validate_json(json_text(answer.raw, answer.ending is Ending.CUT_OFF))), None, ""
    except ValidationError as error:
        found = error.errors(include_url=False)
        problem = "; ".join(f"{'.'.join(map(str, one['loc'])) or 'reply'}: {one['msg']}" for one in found)
        shape = ".".join([*(part for part in found[0]["loc"] if isinstance(part, str)), found[0]["type"]])
    except ValueError as error:
        problem, shape = str(error), " ".join(word for word in str(error).split() if word.isalpha())
    if answer.ending is Ending.CUT_OFF:
        return None, f"it was cut off before its end: be brief ({problem})", ""
    return None, problem, shape
