"""Addresses of endpoints as they may be shown: keys stand in some of them, and in what endpoints say of themselves."""

import re
from base64 import b64encode
from collections.abc import Iterable
from urllib.parse import unquote, unquote_plus, urlsplit

HIDDEN = "***"
SHORTEST_SECRET = 4
_PLAIN_SEGMENT = re.compile(
    r"v\d+(?:alpha|beta|rc)?\d*|(?!.*(?:key|secret|token|pass|sk-))[a-z]{1,14}(?:-[a-z]{1,14})*"
)


def shown(address: str) -> str:
    """scheme://host:port/path, in which every part of the path that is no plain word is hidden; user, query and fragment go."""
    scheme, separator, rest = address.strip().partition("://")
    if not separator:
        scheme, rest = "", scheme
    authority, *path = re.split(r"[?#]", rest, maxsplit=1)[0].split("/")
    segments = [part if not part or _PLAIN_SEGMENT.fullmatch(part) else HIDDEN for part in path]
    return scheme + separator + "/".join([authority.rpartition("@")[2], *segments])


def secrets_in(address: str) -> list[str]:
    """What `shown` hides of an address."""
    parts = urlsplit(address.strip())
    user, colon, password = parts.netloc.rpartition("@")[0].partition(":")
    hidden = [secret if colon else user for secret in (password, unquote(password))]
    if user:  # as an Authorization header, which some endpoints repeat
        hidden.append(b64encode(f"{unquote(user)}:{unquote(password)}".encode()).decode())
    for name_and_value in parts.query.split("&"):
        value = name_and_value.partition("=")[2]
        hidden += [value, unquote_plus(value)]
    hidden += [part for part in parts.path.split("/") if part and not _PLAIN_SEGMENT.fullmatch(part)]
    return hidden


def hide(text: str, secrets: Iterable[str]) -> str:
    """`text` without the secrets, the longest first; those too short to be told from a word are left."""
    for secret in sorted({one for one in secrets if len(one) >= SHORTEST_SECRET}, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return text
