"""Under every fault of an endpoint a build ends as documented; once the fault is gone it comes to what it would have been."""

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path

import pytest

from tests.data_builders.clip_builds import (
    IMPATIENT,
    ITEMS,
    Clips,
    decoded_once,
    labelled,
    put_aside,
    relevance,
    shards,
    to_ask_again,
    write_clips,
)
from tests.loopback.endpoint.mode import Mode
from tests.loopback.endpoint.modes import MODES
from tests.loopback.misbehaving import MisbehavingEndpoint, misbehaving_endpoint

WAITED_FOR = (
    "busy_infinite", "busy_milliseconds", "busy_nan", "busy_negative", "busy_past", "busy_seconds", "busy_silent",
    "busy_words", "busy_zero", "chunked_wrongly", "cloudflare_once", "conflict_once", "drip", "drip_of_the_head",
    "failing_for_ever", "gateway_once", "gzip_broken", "head_huge", "inside_429_once", "inside_500_for_one_clip",
    "inside_choice_for_one_clip", "inside_choice_once", "inside_detail", "inside_text", "length_too_long",
    "length_twice", "loading_for_ever", "no_http", "overloaded_529_once", "overloaded_once", "reset_at_once",
    "reset_in_the_body", "reset_in_the_body_once", "silent", "too_early_once", "too_slow_once",
)  # fmt: skip
"""Modes under which a build waits for seconds; their like are in every run."""


@pytest.fixture(scope="module")
def endpoint() -> Iterator[MisbehavingEndpoint]:
    with misbehaving_endpoint() as endpoint, decoded_once():
        yield endpoint


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Clips:
    return write_clips(tmp_path_factory.mktemp("clips"))


@pytest.fixture(scope="module")
def undisturbed(
    clips: Clips, endpoint: MisbehavingEndpoint, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Sequence[str]], Path]:
    """The folder of a build with the given options that meets no fault."""

    @cache
    def built(*options: str) -> Path:
        out = tmp_path_factory.mktemp("undisturbed") / "out"
        endpoint.begin(None)
        assert clips.build(out, endpoint.address, *options) == 0
        assert labelled(out) == ITEMS
        assert not endpoint.paid_twice
        return out

    return lambda options: built(*options)


@pytest.mark.parametrize(
    "mode",
    [
        pytest.param(mode, id=name, marks=[pytest.mark.slow] if number % 3 or name in WAITED_FOR else [])
        for number, (name, mode) in enumerate(MODES.items())
    ],
)
def test_a_build_ends_as_documented_and_goes_on_once_the_fault_is_gone(
    mode: Mode,
    clips: Clips,
    endpoint: MisbehavingEndpoint,
    undisturbed: Callable[[Sequence[str]], Path],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    options = ["--necessity"] if mode.necessity else []
    expected, out = undisturbed(options), tmp_path / "out"
    endpoint.begin(mode)
    code = clips.build(out, endpoint.address, *options, *(IMPATIENT if mode.impatient else ()))
    assert code in mode.codes
    aside = put_aside(out) if code in (0, 3) else []
    if code in (0, 3):
        assert labelled(out) + len(aside) == ITEMS
    endpoint.repair()
    if code != 0:
        assert clips.build(out, endpoint.address, *options, *to_ask_again(aside)) == 0
    made = relevance if mode.reworded and code == 0 else shards
    assert made(out) == made(expected)
    assert not endpoint.paid_twice
    printed = capfd.readouterr()
    assert "Traceback" not in printed.out + printed.err
