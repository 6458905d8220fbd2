"""What a reply cost, as the endpoint counts it or as its length tells."""

from collections.abc import Mapping

from videorouter.data_builders.teacher.config import Usage

CHARACTERS_A_TOKEN, TOKENS_AN_IMAGE = 4, 256
"""For endpoints that do not count tokens themselves."""
MOST = 10**8
"""Tokens of one request beyond which a count is none."""


def usage_of(told: object, text: str, images: int, reply: str) -> Usage:
    """The usage of one request: what its `usage` says, and an estimate, marked so, for each count that is missing or nonsense."""
    counts = told if isinstance(told, Mapping) else {}
    tokens_in = _count(counts, "prompt_tokens", "input_tokens", least=1)
    tokens_out = _count(counts, "completion_tokens", "output_tokens", least=1 if reply else 0)
    return Usage(
        requests=1,
        images=images,
        tokens_in=len(text) // CHARACTERS_A_TOKEN + TOKENS_AN_IMAGE * images if tokens_in is None else tokens_in,
        tokens_out=len(reply) // CHARACTERS_A_TOKEN if tokens_out is None else tokens_out,
        estimated=int(tokens_in is None or tokens_out is None),
    )


def _count(counts: Mapping[str, object], *names: str, least: int) -> int | None:
    """A whole number that a request can have cost, under the first of `names` that holds one."""
    for name in names:
        told = counts.get(name)
        if isinstance(told, int | float) and not isinstance(told, bool) and least <= told <= MOST and told == int(told):
            return int(told)
    return None
