"""What an error body says, in the forms of OpenAI, Azure, Anthropic, Google, vLLM, FastAPI, OpenRouter and LiteLLM."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from videorouter.data_builders.teacher.addresses import shown
from videorouter.data_builders.teacher.refusals import names_moderation, shape_of

LONGEST_BODY = 2000
"""Characters of an error body that are kept."""
LONGEST_MESSAGE = 500
_DEEPEST = 6
_MESSAGES = ("message", "msg", "error_description", "error_msg", "detail", "details", "title")
_CODES = ("code", "status_code", "statusCode", "status", "error_code", "http_code")
_UNNAMED = 500
"""The status of an error without one: trying again may help."""

_OF_THE_ACCOUNT = (400, 403, 429)
"""Statuses under which some vendors say that the key or the account is at fault."""
_NO_MONEY = re.compile(
    "insufficient_quota|billing_(?:hard_limit|not_active)|insufficient.balance|credit balance is too low|arrearage",
    re.IGNORECASE,
)
_NO_KEY = re.compile("api_key_invalid|(?:invalid|incorrect)[ _]api[ _]key|api key (?:not valid|expired)", re.IGNORECASE)
_BY_WORD = [
    (re.compile(words, re.IGNORECASE), status)
    for words, status in (
        (r"insufficient.?(?:quota|balance|credit|funds)|billing|payment", 402),
        (r"rate.?limit|too.?many.?requests|resource.?exhausted|throttl", 429),
        (r"authentication|unauthenticated|unauthorized|api.?key", 401),
        (r"permission|forbidden|access.?denied", 403),
        (r"model.?not.?found|not_found_error|does not exist|no such model", 404),
        (r"over.?load|unavailable|capacity|internal|server.?error|time.?d?.?out|gateway|try again", 503),
        (r"content.?filter|content.?policy|moderation|invalid|bad.?request|unsupported|unprocessable|too long", 400),
        (r"not supported|context.?length|exceeds|must be|should be|required", 400),
    )
]


@dataclass(frozen=True)
class Complaint:
    """An error that an endpoint answered with, as HTTP status or `inside` a 200; `body` is cut."""

    status: int
    code: str | None
    message: str
    body: str
    inside: bool = False

    def __str__(self) -> str:
        code = f" ({self.code})" if self.code and self.code != str(self.status) else ""
        return f"{'error inside a 200: ' if self.inside else 'HTTP '}{self.status}{code} {self.message}"

    @property
    def meant(self) -> int:
        """The status that is meant: 402 where the account has nothing left, 401 where the key is wrong, whatever it says."""
        if self.status not in _OF_THE_ACCOUNT:
            return self.status
        return 402 if _NO_MONEY.search(self.body) else 401 if _NO_KEY.search(self.body) else self.status

    @property
    def shape(self) -> str:
        """What kind of refusal it is, whatever the item."""
        return shape_of(self.status, self.code, self.message)

    @property
    def moderation(self) -> bool:
        """Whether it names moderation, in the code or anywhere in the body."""
        return names_moderation(self.body)


def complaint(status: int, body: str, location: str = "") -> Complaint:
    """What the body of an HTTP error says; of a redirect, the address that it names."""
    if status < 400:
        return Complaint(status, None, f"redirects to {shown(location)}" if location else "holds no answer", "")
    try:
        told: Any = json.loads(body)
    except (ValueError, RecursionError):
        told = None
    errors = list(_errors(told))
    code, message = _code(errors), _message(errors) or _plain(body) or "without a word"
    return Complaint(status, code, message, body[:LONGEST_BODY])


def complaint_inside(told: Any, body: str) -> Complaint | None:
    """The error that the JSON of a 200 holds in place of an answer, or beside one; its status is the one it names."""
    if not _holds_error(told):
        return None
    errors = list(_errors(told))
    code, message = _code(errors), _message(errors) or "without a word"
    return Complaint(_status(errors, message), code, message, body[:LONGEST_BODY], inside=True)


def _holds_error(told: Any) -> bool:
    if isinstance(told, list):
        return bool(told) and all(isinstance(one, Mapping) and one.get("error") for one in told)
    if not isinstance(told, Mapping):
        return False
    if any(told.get(name) for name in ("error", "errors")) or told.get("object") == "error":
        return True
    return "choices" not in told and any(told.get(name) for name in _MESSAGES)


def _errors(told: Any, depth: int = 0) -> Iterator[Mapping[str, Any]]:
    """The objects that describe an error, the outermost first."""
    if depth > _DEEPEST:
        return
    if isinstance(told, list):
        for one in told[:3]:
            yield from _errors(one, depth + 1)
    elif isinstance(told, Mapping):
        yield told
        if isinstance(told.get("message"), Mapping):
            yield from _errors(told["message"], depth + 1)
        for name in ("error", "errors", "innererror", "metadata"):
            inner = told.get(name)
            yield from _errors({"message": inner} if isinstance(inner, str) else inner, depth + 1)


def _message(errors: list[Mapping[str, Any]]) -> str:
    """The words of all of them, each once, the outermost first; a provider's own come as `raw`."""
    found: dict[str, None] = {}
    for error in errors:
        for name in (*_MESSAGES, "raw"):
            value = error.get(name)
            if value and not isinstance(value, Mapping | bool | int | float):
                words = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
                found[_plain(words)] = None
                if name != "raw":
                    break
    return ": ".join(found)[:LONGEST_MESSAGE]


def _code(errors: list[Mapping[str, Any]]) -> str | None:
    """The most telling name: a code in words before a type, before a number."""
    told = [error.get(name) for error in reversed(errors) for name in ("code", "type", "status", "error_code")]
    words = [one for one in told if isinstance(one, str) and one and not one.strip("-").isdigit() and one != "error"]
    numbers = [str(one) for one in told if isinstance(one, int | str) and not isinstance(one, bool) and one]
    return next((one[:80] for one in (*words, *numbers) if one != "error"), None)


def _status(errors: list[Mapping[str, Any]], message: str) -> int:
    """The status that an error inside a 200 names, by number or by word."""
    for error in errors:
        for name in _CODES:
            value = str(error.get(name)).strip()
            if value.isdecimal() and 400 <= int(value[:4]) < 600 and len(value) == 3:
                return int(value)
    named = " ".join(str(error[name]) for error in errors for name in ("code", "type", "status") if error.get(name))
    return next((status for text in (named, message) for words, status in _BY_WORD if words.search(text)), _UNNAMED)


def _plain(text: str) -> str:
    """On one line, and cut; a page of HTML without its tags."""
    if text.lstrip().startswith("<"):
        text = re.sub(
            r"<(style|script)\b.*?</\1>|<[^>]*>", " ", text[: 10 * LONGEST_BODY], flags=re.DOTALL | re.IGNORECASE
        )
    return " ".join(text.split())[:LONGEST_MESSAGE]
