"""Which hosts are asked for media, and at which addresses: a name that is allowed must not lead into a private network."""

import ipaddress
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address

import httpx2

DEFAULT_PORTS = {"http": 80, "https": 443}
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
NAT64_LOCAL = ipaddress.IPv6Network("64:ff9b:1::/48")
IPV4_COMPATIBLE = ipaddress.IPv6Network("::/96")


class AllowedHosts:
    """The `host` and `host:port` that URLs may name. Raises `ValueError` for what is neither."""

    def __init__(self, entries: Iterable[str]) -> None:
        self._anywhere: set[str] = set()
        self._with_port: set[tuple[str, int]] = set()
        for entry in entries:
            host, port = _host_and_port(entry)
            if port is None:
                self._anywhere.add(host)
            else:
                self._with_port.add((host, port))

    def __bool__(self) -> bool:
        return bool(self._anywhere or self._with_port)

    def private_allowed(self, url: httpx2.URL) -> bool | None:
        """Whether the URL's host may have a private address, None where the URL is not allowed at all."""
        host, port = _normal(url.raw_host.decode()), url.port or DEFAULT_PORTS[url.scheme]
        if (host, port) in self._with_port:
            return True
        return False if host in self._anywhere and port in DEFAULT_PORTS.values() else None


def may_be_asked(address: str, private_allowed: bool) -> bool:
    """Whether an address may be connected to. Link-local ones, where clouds keep credentials, never may."""
    try:
        ip = _unwrapped(ipaddress.ip_address(address))
    except ValueError:
        return False
    if ip is None or ip.is_link_local or ip.is_multicast or ip.is_unspecified:
        return False
    if private_allowed:
        return ip.is_loopback or not ip.is_reserved
    return ip.is_global and not ip.is_reserved and not (isinstance(ip, IPv6Address) and ip.is_site_local)


def _unwrapped(ip: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address | None:
    """The IPv4 address that an IPv6 one leads to, itself where it leads to none, None where that cannot be told."""
    if isinstance(ip, IPv4Address):
        return ip
    if ip.teredo is not None or ip in NAT64_LOCAL:
        return None
    if ip in NAT64 or (ip in IPV4_COMPATIBLE and int(ip) > 1):
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or ip


def _host_and_port(entry: str) -> tuple[str, int | None]:
    fault = f"allowed host {entry!r} is neither host nor host:port, such as cdn.example.com or 127.0.0.1:8000"
    host, colon, port = entry.strip().rpartition(":")
    if not colon or port.endswith("]"):
        host, port = entry.strip(), ""
    try:
        url = httpx2.URL(f"http://{host}")
    except httpx2.InvalidURL as error:
        raise ValueError(fault) from error
    plain = url.host and url.port is None and url.path == "/" and not (url.userinfo or url.query or url.fragment)
    if (
        not plain
        or set(host) & set("/?#@*% ")
        or (colon and port and not port.isdecimal())
        or (port and not 0 < int(port) < 65536)
    ):
        raise ValueError(fault)
    if colon and not port and not host.endswith("]"):
        raise ValueError(fault)
    return _normal(url.raw_host.decode()), int(port) if port else None


def _normal(host: str) -> str:
    return host.lower().removesuffix(".")
