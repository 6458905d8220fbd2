"""The endpoints of a run: their addresses and keys, which of them to ask, and which to leave alone for how long."""

import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from string import Template

import httpx2

from videorouter.data_builders.teacher.addresses import hide, secrets_in, shown
from videorouter.data_builders.teacher.config import TeacherConfig
from videorouter.data_builders.teacher.errors import TeacherStopped, TeacherUnavailable
from videorouter.data_builders.teacher.exchange import (
    Response,
    TooLarge,
    Unanswered,
    Unreached,
    exchange,
    open_client,
)

FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0
"""Seconds until an endpoint without a connection is tried again: first, and at last."""
SIGN_OF_LIFE = 10.0
"""Seconds at most in which an endpoint must say that it is there."""
COMPLETIONS = "/chat/completions"
OF_THE_BODY = ("content-length", "transfer-encoding", "content-encoding")
"""Headers that say how a body is sent, as it is."""
_IS_A_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_NAMES_A_KEY = re.compile("key|auth|token|secret|cookie|sig", re.IGNORECASE)


@dataclass
class Endpoint:
    """One address up to /v1; `secrets` is what may never be shown of it.

    `refusal` once it refused for good, `answered` once it answered anything, `unavailable_until` in monotonic seconds because
    of its last `trouble`.
    """

    url: httpx2.URL
    client: httpx2.AsyncClient
    secrets: tuple[str, ...] = ()
    name: str = ""
    in_flight: int = 0
    unavailable_until: float = 0.0
    answered: bool = False
    refusal: TeacherStopped | None = None
    trouble: str = ""
    _wait: float = field(default=FIRST_WAIT, init=False)

    async def complete(self, body: bytes, seconds: float) -> Response:
        """The response to a chat completion. Raises `Unreached`, `Unanswered` or `TooLarge`."""
        self.in_flight += 1
        try:
            response = await exchange(self.client, "POST", self._at(COMPLETIONS), seconds, body)
        finally:
            self.in_flight -= 1
        self.answered, self._wait = True, FIRST_WAIT
        return response

    async def is_there(self, seconds: float) -> bool:
        """Whether it answers at all within that time, be it that it has no list of models."""
        try:
            return (await exchange(self.client, "GET", self._at("/models"), min(SIGN_OF_LIFE, seconds))).status < 500
        except TooLarge:
            return True
        except (Unreached, Unanswered):
            return False

    def leave_alone(self, trouble: str) -> None:
        """It gave no connection: try others first, and it later, each time twice as late."""
        self.trouble = trouble
        now = time.monotonic()
        if self.unavailable_until <= now:  # those that fail together count once
            self.unavailable_until = now + self._wait
            self._wait = min(LONGEST_WAIT, 2 * self._wait)

    def hide(self, text: str) -> str:
        """`text` without the keys of this endpoint."""
        return hide(text, self.secrets)

    def _at(self, path: str) -> httpx2.URL:
        return self.url.copy_with(path=self.url.path.rstrip("/") + path)


def open_endpoints(config: TeacherConfig) -> list[Endpoint]:
    """The endpoints of a configuration. Raises `ValueError` for addresses, keys and headers that cannot be sent."""
    urls = [url.strip() for url in config.base_url.split(",") if url.strip()]
    variables = [name.strip() for name in config.key_variable.split(",")]
    if len(variables) not in (1, len(urls)):
        raise ValueError(f"{len(variables)} key variables for {len(urls)} endpoints: give one, or one each")
    headers = {name: _filled("headers", name, value) for name, value in config.headers.items()}
    query = {name: _filled("query", name, value) for name, value in config.query.items()}
    given = {**config.headers, **config.query}
    secrets = {v for name, v in {**headers, **query}.items() if "$" in given[name] or _NAMES_A_KEY.search(name)}
    return [
        _endpoint(url, variable, headers, query, secrets)
        for url, variable in zip(urls, variables * (len(urls) if len(variables) == 1 else 1), strict=True)
    ]


def least_busy(endpoints: list[Endpoint]) -> Endpoint | float:
    """The available endpoint with the fewest requests in flight, or the seconds until one is available again.

    Raises what they refused for good, once all of them did.
    """
    usable = [endpoint for endpoint in endpoints if endpoint.refusal is None]
    if not usable:
        refusals = [endpoint.refusal for endpoint in endpoints if endpoint.refusal is not None]
        kind = next((type(one) for one in refusals if not isinstance(one, TeacherUnavailable)), TeacherUnavailable)
        raise kind("; ".join(dict.fromkeys(map(str, refusals))) + "; what is paid is kept")
    now = time.monotonic()
    available = [endpoint for endpoint in usable if endpoint.unavailable_until <= now]
    if available:
        return min(available, key=lambda endpoint: endpoint.in_flight)
    return min(endpoint.unavailable_until for endpoint in usable) - now


def _endpoint(
    url: str, variable: str, headers: Mapping[str, str], query: Mapping[str, str], secrets: set[str]
) -> Endpoint:
    key = (os.environ.get(variable) or "none").strip()
    sent = {"Authorization": f"Bearer {key}", "Content-Type": "application/json", **headers}
    for name, value in sent.items():
        if not _IS_A_NAME.fullmatch(name) or name.lower() in OF_THE_BODY:
            raise ValueError(f"teacher.headers {name!r} is no name of a header that can be set: leave it out")
        if not (value.isascii() and value.isprintable()):
            source = f"the key in ${variable}" if name == "Authorization" else f"the value of teacher.headers {name!r}"
            raise ValueError(
                f"{source} holds characters that no HTTP header may hold: set it anew, without line breaks"
            )
    try:
        address = httpx2.URL(url)
    except httpx2.InvalidURL as error:
        raise ValueError(f"--teacher.base_url {shown(url)} is not an address: {hide(str(error), [url])}") from None
    if not address.host or (address.port or 0) > 65535:
        missing = "names no host" if not address.host else "is not an address: ports end at 65535"
        raise ValueError(f"--teacher.base_url {shown(url)} {missing}: give one such as http://127.0.0.1:8000/v1")
    address = address.copy_with(path=address.path.rstrip("/").removesuffix(COMPLETIONS) or "/", fragment=None)
    hidden = {*secrets, *secrets_in(url)} | ({key} if key != "none" else set())
    return Endpoint(
        address.copy_merge_params(query) if query else address, open_client(sent), tuple(hidden), shown(str(address))
    )


def _filled(option: str, name: str, value: str) -> str:
    """A value with its $NAMEs from the environment."""
    try:
        return Template(value).substitute(os.environ)
    except KeyError as error:
        raise ValueError(
            f"teacher.{option} {name!r} is read from ${error.args[0]}, which is not set: export it"
        ) from None
    except ValueError as error:
        raise ValueError(f"teacher.{option} {name!r}: {error}; a dollar sign is written $$") from None
