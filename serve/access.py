"""Who may ask: the Host that a request names, the Origin of the page that sends it, the API key (ours).

A page of any address can send requests to servers on its reader's machine, and a name of its own can be made to lead there (DNS
rebinding): so a browser's Origin must be the server's own or an allowed one, and so must the Host.
"""

import hashlib
import hmac
import os
import re
from collections.abc import Sequence
from typing import Any

from videorouter.serve.config import KEYS, ServeConfig, is_loopback
from videorouter.serve.errors import Forbidden, NoSuchKey, RequestError
from videorouter.serve.listening import own_names
from videorouter.serve.page.assets import ASSETS

NOBODY = "local"
"""Who asks where no keys are needed."""
ANY = "*"
"""Among the allowed hosts: any. Pages of other names hold no key, so that rebinding leads them nowhere."""
_HOST = re.compile(r"(?:\[([0-9a-fA-F:.]+)\]|([^\s\[\]:@/?#\\]+))(?::\d*)?")
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(\[[0-9a-f:.]+\]|[^\s\[\]:@/?#\\*]+)(:\d+)?")
OPEN = frozenset(("/", "/health", *(f"/{name}" for name in ASSETS)))
"""What needs no key: the page, which asks for one, and what a load balancer looks at."""


class Access:
    """The names, pages and keys of one server."""

    def __init__(self, config: ServeConfig, keys: Sequence[str]) -> None:
        """Raises `ValueError` for a server that others reach, or by any name, and that has no keys, and for names that are none."""
        if not config.own_machine_only and not keys:
            raise ValueError(
                f"--host {config.host} lets other machines ask: set {KEYS} to one or several API keys, separated by commas"
            )
        if ANY in config.allowed_hosts and not keys:
            raise ValueError(f"--allowed_hosts '{ANY}' lets pages of any name ask: set {KEYS}, or name the hosts")
        self._keys = [key.encode() for key in keys]
        self._any_host = ANY in config.allowed_hosts
        self._hosts = {_host_name(name) for name in config.allowed_hosts if name != ANY}
        self._hosts.update(own_names(config.host))
        self.origins = {_origin(entry) for entry in config.allowed_origins}
        """Pages of other addresses that may use the server."""

    @property
    def names(self) -> str:
        """The names that requests may have as their Host, for people."""
        if self._any_host:
            return "any name"
        return f"{', '.join(['localhost', *sorted(self._hosts)])} (--allowed_hosts adds some)"

    def owner(self, path: str, headers: Any) -> str:
        """Whose request it is: a hash of the key, so that no log or cache holds one.

        Raises `Forbidden` for a Host or Origin that is not allowed, `NoSuchKey` for a key that is missing or wrong.
        """
        host = headers.get("host", "")
        self._check_host(host)
        if (origin := headers.get("origin")) is not None:
            self._check_origin(origin, host)
        if not self._keys:
            return NOBODY
        if path in OPEN:
            return NOBODY
        scheme, _, given = headers.get("authorization", "").partition(" ")
        known = [key for key in self._keys if hmac.compare_digest(key, given.strip().encode())]
        if scheme.lower() != "bearer" or not known:
            raise NoSuchKey("this server wants one of its API keys: send it as `Authorization: Bearer KEY`")
        return hashlib.sha256(known[0]).hexdigest()[:16]

    def _check_host(self, host: str) -> None:
        name = _named_host(host)
        if not (self._any_host or is_loopback(name) or name in self._hosts):
            raise Forbidden(
                f"this server is not called {name[:80]!r}: ask it by its own name, or start it with --allowed_hosts"
            )

    def _check_origin(self, origin: str, host: str) -> None:
        if origin.rstrip("/") in self.origins or (host and origin.partition("://")[2] == host):
            return
        raise Forbidden(
            f"pages of {origin[:80]} may not use this server: open its own page, or start it with --allowed_origins"
        )


def _named_host(host: str) -> str:
    """The name or address of a `host:port`, in lower case and without brackets; empty where it is none."""
    found = _HOST.fullmatch(host)
    return (found[1] or found[2]).lower() if found else ""


def _host_name(entry: str) -> str:
    name = _named_host(entry)
    if name != entry.strip("[]").lower():
        raise ValueError(f"allowed host {entry!r} is no name or address: give one such as lab.example, without a port")
    return name


def _origin(entry: str) -> str:
    """As browsers write it. Raises `ValueError` for what no browser sends; all pages at once (`*`) would be those of strangers."""
    origin = entry.rstrip("/").lower()
    if entry == ANY:
        raise ValueError(
            f"--allowed_origins '{ANY}' would let every page that a user opens ask this server: name the pages, such as https://lab.example"
        )
    if not _ORIGIN.fullmatch(origin):
        raise ValueError(
            f"allowed origin {entry!r} is no page's address: give one such as https://lab.example, without a path"
        )
    return re.sub(r"^(http:.*):80$|^(https:.*):443$", lambda found: found[1] or found[2], origin)


def keys_from_environment() -> list[str]:
    """The API keys that clients must send one of; none where nobody set any."""
    return [key.strip() for key in os.environ.get(KEYS, "").split(",") if key.strip()]


class AccessMiddleware:
    """Lets requests through that `Access` allows; who asks is then `scope["state"]["owner"]`."""

    def __init__(self, app: Any, access: Access) -> None:
        self._app, self._access = app, access

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """One request."""
        if scope["type"] == "http":
            from starlette.datastructures import Headers
            from starlette.responses import JSONResponse

            try:
                owner = self._access.owner(scope["path"], Headers(scope=scope))
            except RequestError as error:
                await JSONResponse(error.body(), error.status, error.headers)(scope, receive, send)
                return
            scope.setdefault("state", {})["owner"] = owner
        elif scope["type"] == "websocket":
            return
        await self._app(scope, receive, send)
