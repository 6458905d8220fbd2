"""How long an endpoint asks to be left alone (RFC 9110, 10.2.3, and the `retry-after-ms` of some vendors)."""

import math
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

LEAST, USUAL, MOST = 0.5, 1.0, 120.0
"""Seconds: a wait of 0 must not become a hundred requests a second, and one of a day is asked about again."""


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds to wait, at least `LEAST` and at most `MOST`; None where the endpoint does not say, or says nonsense."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        seconds = _seconds(headers.get(name, ""), headers)
        if seconds is not None:
            return min(MOST, max(LEAST, seconds * unit))
    return None


def _seconds(told: str, headers: Mapping[str, str]) -> float | None:
    try:
        seconds = float(told)
    except ValueError:
        moment = _moment(told)
        if moment is None:
            return None
        return moment - (_moment(headers.get("date", "")) or time.time())  # by its clock, where it shows it
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def _moment(date: str) -> float | None:
    try:
        return parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError):
        return None
