"""Endpoints that ask to wait, or fail for a while: 429 with every form of Retry-After, 5xx once and for ever."""

from tests.loopback.endpoint.asked import every, first_try
from tests.loopback.endpoint.mode import ASIDE, AWAY, FINE, Behaviour, Mode, mode, sends
from tests.loopback.endpoint.refusals import ODD_CLIP, page
from tests.loopback.endpoint.sent import error


def busy(headers: dict[str, str] | None = None, status: int = 429) -> Behaviour:
    """Too many requests, and when to come again."""
    return sends(lambda: error(status, "Rate limit reached for requests", "rate_limit_exceeded", headers))


MODES: list[Mode] = [
    mode("busy_seconds", "429 once, Retry-After 0.1", FINE, busy({"Retry-After": "0.1"}), every(7)),
    mode("busy_zero", "429 once, Retry-After 0", FINE, busy({"Retry-After": "0"}), every(5)),
    mode("busy_negative", "429 once, Retry-After -1", FINE, busy({"Retry-After": "-1"}), every(20)),
    mode("busy_nan", "429 once, Retry-After nan", FINE, busy({"Retry-After": "nan"}), every(20)),
    mode("busy_infinite", "429 once, Retry-After inf", (FINE, AWAY), busy({"Retry-After": "inf"}), every(20)),
    mode(
        "busy_past",
        "429 once, Retry-After a date that is over",
        FINE,
        busy({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}),
        every(20),
    ),
    mode("busy_words", "429 once, Retry-After soon", FINE, busy({"Retry-After": "soon"}), every(20)),
    mode("busy_milliseconds", "429 once, retry-after-ms 50", FINE, busy({"retry-after-ms": "50"}), every(20)),
    mode("busy_silent", "429 once, without Retry-After", FINE, busy(), every(20)),
    mode("busy_for_ever", "429 to all, for ever", AWAY, busy({"Retry-After": "0.1"})),
    mode(
        "overloaded_once", "503 with Retry-After to the first try", FINE, busy({"Retry-After": "0.1"}, 503), first_try
    ),
    mode("overloaded_529_once", "529 to every tenth request", FINE, busy(None, 529), every(10)),
    mode(
        "cloudflare_once",
        "520, a page of Cloudflare, to every tenth request",
        FINE,
        sends(lambda: page(520, "Web server is returning an unknown error")),
        every(10),
    ),
    mode(
        "gateway_once",
        "502, a page of nginx, to the first try",
        FINE,
        sends(lambda: page(502, "Bad Gateway")),
        first_try,
    ),
    mode("failing_for_one_clip", "500 to one clip", ASIDE, sends(lambda: error(500, "CUDA out of memory")), ODD_CLIP),
    mode(
        "failing_for_ever",
        "500 to all",
        (ASIDE, AWAY),
        sends(lambda: error(500, "EngineCore encountered an issue")),
        everywhere=True,
    ),
    mode("loading_for_ever", "503 to all", (ASIDE, AWAY), sends(lambda: error(503, "Loading model")), everywhere=True),
]
