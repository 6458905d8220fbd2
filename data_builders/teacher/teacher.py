"""Asks for JSON of a schema and holds the reply to it; what was asked before is read from the journal, not paid again."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from pydantic import ValidationError

from videorouter.data_builders.teacher.client import TeacherClient
from videorouter.data_builders.teacher.config import TeacherConfig, Usage
from videorouter.data_builders.teacher.endings import Ending, unusable, withheld
from videorouter.data_builders.teacher.journal import Answer, Journal
from videorouter.data_builders.teacher.replies import Reply
from videorouter.data_builders.teacher.reply_text import json_text
from videorouter.data_builders.teacher.request import Picture, Request

LAST_ANSWERS = 3.0
"""Seconds that the answers in flight are awaited after Ctrl-C, which is to end a command within five."""

ReplyModel = TypeVar("ReplyModel", bound=Reply)
Checked = TypeVar("Checked")


class Teacher:
    """The teacher as the labellers of one shard see it.

    `usage` is what was paid through it, `used` what all answers it gave cost when they were paid.
    """

    def __init__(
        self, config: TeacherConfig, client: TeacherClient | None = None, journal: Journal | None = None
    ) -> None:
        self.config = config
        self.usage = self.used = Usage()
        self._client = client or TeacherClient(config)
        self._journal = journal or Journal()
        self._asking: dict[str, asyncio.Task[Answer]] = {}

    async def ask(
        self,
        text: str,
        pictures: Sequence[Picture],
        schema: type[ReplyModel],
        check: Callable[[ReplyModel], Checked],
    ) -> Checked:
        """Send one prompt with its pictures and return `check(reply)` of the parsed reply.

        A reply that is not of `schema`, or on which `check` raises `ValueError`, is asked for once more, with the error, and
        with twice the tokens: it may have been cut off. Raises `TeacherReplyError` when the second reply fails too
        (`TeacherCutOff` where it was cut off again), `TeacherRefusal`, `TeacherFiltered` or `TeacherFailure` where the endpoint
        refuses, filters or fails on this request, and `TeacherStopped` when there are no more answers.
        """
        request = Request(self.config.model, text, tuple(pictures), schema, parameters=self.config.parameters)
        answer = await self._answer(request)
        checked, problem = _checked(answer, schema, check)
        if problem is not None:
            correction = f"This reply is not valid: {problem}. Reply again, with JSON of the requested schema only."
            request = replace(request, correcting=(answer.raw, correction))
            answer = await self._answer(request)
            checked, problem = _checked(answer, schema, check)
        if problem is not None:
            raise unusable(answer.ending, answer.raw, schema.__name__, problem, request.most_tokens)
        return checked  # type: ignore[return-value]

    async def draining(self, work: Awaitable[Checked]) -> Checked:
        """Await work that asks; where it is cancelled or fails, await the requests in flight as `drain` does."""
        try:
            return await work
        except BaseException as error:
            await self.drain(error)
            raise

    async def drain(self, error: BaseException) -> None:
        """Start no request any more, let those in flight end, and keep their answers: they are paid.

        Where `error` is an interruption they have `LAST_ANSWERS` seconds; what comes later is asked again by the next run.
        """
        self._client.close()
        if self._asking:
            await asyncio.wait(
                self._asking.values(), timeout=LAST_ANSWERS if isinstance(error, asyncio.CancelledError) else None
            )

    async def _answer(self, request: Request) -> Answer:
        """The reply: kept from before, in flight for another question, or asked for now."""
        key = request.key
        answer = self._journal.find(key)
        if answer is None:
            if key not in self._asking:
                self._asking[key] = asyncio.create_task(self._pay(key, request))
                self._asking[key].add_done_callback(lambda task: self._forget(key, task))
            answer = await asyncio.shield(self._asking[key])
        self.used += answer.usage
        return answer

    async def _pay(self, key: str, request: Request) -> Answer:
        async def keep(answer: Answer) -> None:
            self.usage += answer.usage
            await self._journal.keep(key, answer)

        return await self._client.send(request, keep)

    def _forget(self, key: str, task: asyncio.Task[Answer]) -> None:
        del self._asking[key]
        if not task.cancelled():
            task.exception()  # marks it as retrieved: those who wait get it, and nobody else needs it


def _checked(
    answer: Answer, schema: type[ReplyModel], check: Callable[[ReplyModel], Checked]
) -> tuple[Checked | None, str | None]:
    """The checked reply, or what is wrong with it. Raises `TeacherRefusal` or `TeacherFiltered`: asking again is no use."""
    if (no_reply := withheld(answer.ending, answer.raw)) is not None:
        raise no_reply
    try:
        return check(schema.model_validate_json(json_text(answer.raw))), None
    except ValidationError as error:
        problems = (f"{'.'.join(map(str, e['loc'])) or 'reply'}: {e['msg']}" for e in error.errors(include_url=False))
        problem = "; ".join(problems)
    except ValueError as error:
        problem = str(error)
    return None, f"it was cut off before its end: be brief ({problem})" if answer.ending is Ending.CUT_OFF else problem
