"""A teacher's failures, on purpose and repeatable, so that builders can be tested against them."""

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from typing import Literal, TypeVar

ContentFault = Literal["malformed", "truncated", "wrong_schema"]
TransientFault = Literal["rate_limit", "server_error", "hang"]
Kind = TypeVar("Kind", bound=str)


@dataclass
class Faults:
    """Shares (0-1) of requests that fail, each way.

    Content faults depend on (seed, request body): the same request gets the same broken reply. Transient ones depend on
    (seed, body, attempt): repeating the request helps.
    """

    seed: int = 0
    malformed: float = 0.0
    truncated: float = 0.0
    wrong_schema: float = 0.0
    rate_limit: float = 0.0
    server_error: float = 0.0
    hang: float = 0.0
    attempts: Counter[bytes] = field(default_factory=Counter)

    @property
    def active(self) -> bool:
        """Whether anything ever fails; hashing every body costs time."""
        return any((self.malformed, self.truncated, self.wrong_schema, self.rate_limit, self.server_error, self.hang))

    def content(self, body: bytes) -> ContentFault | None:
        """How the content of this request's reply is broken, if it is."""
        if not self.active:
            return None
        shares: dict[ContentFault, float] = {
            "malformed": self.malformed, "truncated": self.truncated, "wrong_schema": self.wrong_schema,
        }  # fmt: skip
        return _pick(shares, self._chance(body, b"content"))

    def transient(self, body: bytes) -> TransientFault | None:
        """How this attempt fails, if it does; counts the attempt."""
        if not self.active:
            return None
        digest = hashlib.sha256(body).digest()
        self.attempts[digest] += 1
        shares: dict[TransientFault, float] = {
            "rate_limit": self.rate_limit, "server_error": self.server_error, "hang": self.hang,
        }  # fmt: skip
        return _pick(shares, self._chance(body, str(self.attempts[digest]).encode()))

    def _chance(self, body: bytes, salt: bytes) -> float:
        """A number in [0, 1) that is a pure function of the seed, the body and the salt."""
        digest = hashlib.sha256(b"%d|%s|" % (self.seed, salt) + body).digest()
        return int.from_bytes(digest[:8], "big") / 2**64


def _pick(shares: dict[Kind, float], chance: float) -> Kind | None:
    for kind, share in shares.items():
        if chance < share:
            return kind
        chance -= share
    return None
