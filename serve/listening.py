"""Where the server listens, and what this machine is called by others (ours). Loads without torch: a taken port is told at once."""

import ipaddress
import socket

import psutil

EVERY = frozenset({"0.0.0.0", "::"})
"""Hosts that mean all addresses of this machine."""


def listening_at(host: str, port: int) -> socket.socket:
    """A socket that clients can connect to from now on; they wait until somebody accepts.

    Raises `ValueError` for a host that is none of this machine's addresses, `OSError` where the port is taken.
    """
    name = host.strip("[]")
    family = socket.AF_INET6 if ":" in name else socket.AF_INET
    both = name == "::" and socket.has_dualstack_ipv6()
    try:
        return socket.create_server((name, port), family=family, backlog=512, dualstack_ipv6=both)
    except socket.gaierror as error:
        raise ValueError(f"host {host!r} is none of this machine's addresses: {error.strerror}") from error


def own_names(host: str) -> list[str]:
    """What clients may call a server at `host`, the best for a link first: this machine's name and addresses where it has all."""
    name = host.strip("[]").lower()
    if name not in EVERY:
        return [name]
    found = [
        entry.address.partition("%")[0].lower()
        for entries in psutil.net_if_addrs().values()
        for entry in entries
        if entry.family == socket.AF_INET or (entry.family == socket.AF_INET6 and name == "::")
    ]
    outside = [address for address in found if not ipaddress.ip_address(address).is_loopback]
    called = socket.gethostname().lower()
    return list(dict.fromkeys([called, *outside] if _is_known(called) else [*outside, called]))


def address_of(listening: socket.socket, host: str) -> str:
    """The address, as `http://NAME:PORT`, that a server at `host` is asked by."""
    name = (own_names(host) or ["localhost"])[0]
    return f"http://{f'[{name}]' if ':' in name else name}:{listening.getsockname()[1]}"


def _is_known(name: str) -> bool:
    try:
        socket.getaddrinfo(name, None)
    except OSError:
        return False
    return True
