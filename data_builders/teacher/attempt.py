"""One attempt at one request: the answer, what was wrong with the endpoint, or the error of the item."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from videorouter.data_builders.teacher.complaints import Complaint, complaint
from videorouter.data_builders.teacher.completion import decoded, read_completion
from videorouter.data_builders.teacher.endpoints import Endpoint
from videorouter.data_builders.teacher.errors import (
    TeacherRefusal,
    TeacherRefuses,
    TeacherReplyError,
    TeacherUnavailable,
)
from videorouter.data_builders.teacher.exchange import Response, TooLarge, Unanswered, Unreached
from videorouter.data_builders.teacher.journal import Answer
from videorouter.data_builders.teacher.request import Request
from videorouter.data_builders.teacher.retry_after import USUAL, retry_after

OF_THE_RUN = {
    301: "give the address that it redirects to as --teacher.base_url",
    401: "check the key in the variable that --teacher.key_variable names",
    402: "check the account of the key: it has no money or quota left",
    404: "check --teacher.base_url, which ends before /chat/completions, and --teacher.model",
}
"""What to do about the statuses that no item is the reason of; 301 stands for all redirects."""


@dataclass(frozen=True)
class Problem:
    """Why there is no answer yet.

    `wait`: seconds to wait at least; `too_many`: seconds in which nobody may ask; `counts` as a failure of the request;
    `unreached`: there was no connection.
    """

    text: str
    wait: float = 0.0
    too_many: float | None = None
    counts: bool = False
    unreached: bool = False


async def attempt(endpoint: Endpoint, request: Request, seconds: float) -> Answer | Problem:
    """Send a request once, with a deadline. An endpoint that has to be left alone, or refuses for good, is marked so.

    Raises `TeacherRefusal` where this request is refused, and `TeacherReplyError` for a response that is no chat completion.
    """
    body = json.dumps(request.body(), separators=(",", ":")).encode()
    try:
        response = await endpoint.complete(body, seconds)
        read = _read(request, response)
    except Unreached as error:
        trouble = f"no connection: {endpoint.hide(str(error))}"
        endpoint.leave_alone(trouble)
        if error.lasting and not endpoint.answered:
            endpoint.refusal = TeacherUnavailable(
                f"the teacher at {endpoint.name} cannot be reached ({trouble}): check --teacher.base_url"
            )
        return Problem(trouble, unreached=True)
    except Unanswered as error:
        return Problem(endpoint.hide(str(error)), counts=True)
    except TooLarge as error:
        reason = f"the teacher's response is no chat completion but {error}"
        raise TeacherReplyError(reason, "", "no chat completion: too large") from error
    except TeacherReplyError as error:
        raise TeacherReplyError(endpoint.hide(str(error)), endpoint.hide(error.raw), error.shape) from error
    return _met(endpoint, read, response.headers) if isinstance(read, Complaint) else read


def _read(request: Request, response: Response) -> Answer | Complaint:
    if 200 <= response.status < 300:
        return read_completion(request, response.body)
    return complaint(response.status, decoded(response.body), response.headers.get("location", ""))


def _met(endpoint: Endpoint, told: Complaint, headers: Mapping[str, str]) -> Problem:
    """What an error means: for the endpoint, for this request (then it is raised), or for the next attempt."""
    words, wait = endpoint.hide(str(told)), retry_after(headers)
    if told.meant == 429:
        return Problem(words, too_many=USUAL if wait is None else wait)
    if told.status >= 500 or told.status in (408, 409, 425, 499):
        return Problem(words, wait or 0.0, counts=True)
    status = 301 if told.status < 400 else told.meant
    if status not in OF_THE_RUN:
        raise TeacherRefusal(
            f"the teacher refused the request: {words}",
            endpoint.hide(told.body),
            told.shape,
            moderation=told.moderation,
        )
    endpoint.refusal = TeacherRefuses(
        f"the teacher at {endpoint.name} refused: {words}: {OF_THE_RUN[status]}, then run the same command again"
    )
    return Problem(words)
