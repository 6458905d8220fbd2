"""One URL over http or https, from a host that is allowed, at an address that was checked and is the one connected to."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
from anyio import to_thread

from videorouter.serve.errors import Forbidden, RequestError, Unreachable
from videorouter.serve.media.address import DEFAULT_PORTS, AllowedHosts, may_be_asked
from videorouter.serve.media.stored import StoredFile, shown_name
from videorouter.serve.media.writing import too_large, written

CONNECT = 10.0
"""Seconds for one address to accept a connection."""
SILENCE = 20.0
"""Seconds that a server may send nothing."""
REDIRECTS = frozenset({301, 302, 303, 307, 308})
TRANSIENT = frozenset({408, 425, 429})

Resolve = Callable[[str, int], Awaitable[list[str]]]
"""From a host's name and a port to its addresses. Raises `OSError` where it has none."""


async def system_addresses(host: str, port: int) -> list[str]:
    """As the system resolves names."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


@dataclass
class Fetcher:
    """Asks only `hosts`; a fetch may take `seconds` in all and follow `redirects`, for bodies of at most `most` bytes."""

    hosts: AllowedHosts
    seconds: float
    redirects: int
    most: int
    resolve: Resolve = system_addresses
    _tls: ssl.SSLContext | None = field(default=None, init=False)

    async def fetch(self, address: str, path: Path) -> StoredFile:
        """What a URL gives, as the new file `path`.

        Raises `RequestError` for a malformed URL and what its server refuses, `Forbidden` for a host that is not allowed,
        `TooLarge`, `BadVideo`, `Unreachable` where the server is unavailable or too slow, and `DiskFull` where the disk is full.
        """
        url = _parsed(address)
        try:
            async with asyncio.timeout(self.seconds):
                for _ in range(self.redirects + 1):
                    async with self._answered(url) as response:
                        if response.status_code not in REDIRECTS:
                            self._check(response, url)
                            return await written(
                                response.aiter_raw(), path, _name_in(url), self.most, f"what {url.host} sends"
                            )
                        url = _redirected(url, response)
        except TimeoutError as error:
            raise Unreachable(f"{url.host} did not send all of it within {self.seconds:g} s") from error
        except httpx2.TimeoutException as error:
            raise Unreachable(f"{url.host} did not answer, or stopped sending") from error
        except (httpx2.TransportError, httpx2.StreamError) as error:
            raise Unreachable(f"{url.host} cannot be reached, or broke off: {error or type(error).__name__}") from error
        raise RequestError(f"the URL is redirected more than {self.redirects} times; give the address it leads to")

    async def check(self, address: str) -> None:
        """Raise as `fetch` for a URL that is not asked, and ask nothing of it."""
        await self._checked_addresses(_parsed(address))

    @asynccontextmanager
    async def _answered(self, url: httpx2.URL) -> AsyncIterator[httpx2.Response]:
        """The answer to one request, from an address of the URL's host that was checked just now."""
        addresses = await self._checked_addresses(url)
        if self._tls is None:
            self._tls = await to_thread.run_sync(httpx2.create_ssl_context)
        # A client for each: it keeps cookies, and connections by address, which hosts of several names may share.
        async with httpx2.AsyncClient(
            verify=self._tls,
            trust_env=False,
            timeout=httpx2.Timeout(SILENCE, connect=CONNECT),
            headers={"Accept-Encoding": "identity", "User-Agent": "videorouter"},
        ) as client:
            response = await _first_answer(client, url, addresses)
            try:
                yield response
            finally:
                await response.aclose()

    async def _checked_addresses(self, url: httpx2.URL) -> list[str]:
        private_allowed = self.hosts.private_allowed(url)
        if private_allowed is None:
            raise Forbidden(
                f"media from {url.netloc.decode()!r} is not allowed: start the server with --video_hosts that name it"
                " (with its port, unless that is 80 or 443), or send the file itself"
            )
        try:
            addresses = await self.resolve(url.raw_host.decode(), url.port or DEFAULT_PORTS[url.scheme])
        except (OSError, UnicodeError) as error:
            raise Unreachable(f"the name {url.host} cannot be resolved") from error
        if not addresses or not all(may_be_asked(address, private_allowed) for address in addresses):
            raise Forbidden(
                f"{url.host} has an address that is not public; a host in a private network is allowed with its port,"
                " as --video_hosts host:port"
            )
        return addresses

    def _check(self, response: httpx2.Response, url: httpx2.URL) -> None:
        status, encoding = response.status_code, response.headers.get("Content-Encoding", "identity")
        if status >= 500 or status in TRANSIENT:
            raise Unreachable(f"{url.host} answered {status}")
        if status != 200:
            raise RequestError(f"{url.host} answered {status} for the URL")
        if encoding.lower() != "identity":
            raise RequestError(
                f"{url.host} sends {encoding[:20]!r}-compressed data, which was not asked for and is not unpacked"
            )
        length = response.headers.get("Content-Length", "")
        if length.isdecimal() and int(length[:20]) > self.most:
            raise too_large(f"what {url.host} sends", self.most, int(length[:20]))


async def _first_answer(client: httpx2.AsyncClient, url: httpx2.URL, addresses: list[str]) -> httpx2.Response:
    """From the first address that accepts a connection; the Host header and TLS keep the URL's name."""
    for left, address in zip(reversed(range(len(addresses))), addresses, strict=True):
        request = client.build_request(
            "GET",
            url.copy_with(host=address),
            headers={"Host": url.netloc.decode()},
            extensions={"sni_hostname": url.raw_host.decode().removesuffix(".")},
        )
        try:
            return await client.send(request, stream=True, follow_redirects=False)
        except (httpx2.ConnectError, httpx2.ConnectTimeout):
            if not left:
                raise
    raise AssertionError("no address")


def _parsed(address: str) -> httpx2.URL:
    try:
        url = httpx2.URL(address.strip())
        ok = url.scheme in DEFAULT_PORTS and url.host and (url.port is None or 0 < url.port < 65536)
    except (httpx2.InvalidURL, UnicodeError) as error:
        raise RequestError(f"the URL {address[:100]!r} is malformed: {error}") from error
    if not ok:
        raise RequestError(f"the URL {address[:100]!r} is malformed: it needs a host, as https://host/video.mp4")
    if url.userinfo:
        raise RequestError("a URL must not hold a user name or password: they are not sent anywhere")
    return url


def _redirected(url: httpx2.URL, response: httpx2.Response) -> httpx2.URL:
    """Where a redirect leads. Raises `Forbidden` where it leaves http, or TLS."""
    try:
        target = url.join(response.headers.get("Location", ""))
    except (httpx2.InvalidURL, UnicodeError) as error:
        raise RequestError(f"{url.host} redirects to a malformed URL") from error
    if target.scheme not in DEFAULT_PORTS:
        raise Forbidden(f"{url.host} redirects to a {target.scheme[:20]!r} URL; only http and https are followed")
    if url.scheme == "https" and target.scheme == "http":
        raise Forbidden(f"{url.host} redirects from https to http, which is not followed")
    return _parsed(str(target))


def _name_in(url: httpx2.URL) -> str:
    return shown_name(url.path) if url.path.strip("/") else url.host
