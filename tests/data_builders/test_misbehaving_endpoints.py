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
    shards,
    to_ask_again,
    write_clips,
)
from tests.loopback.endpoint.mode import Mode
from tests.loopback.endpoint.modes import MODES
from tests.loopback.misbehaving import MisbehavingEndpoint, misbehaving_endpoint


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
) -> Callable[[Sequence[str]], dict[str, bytes]]:
    """The shards of a build with the given options that meets no fault."""

    @cache
    def built(*options: str) -> dict[str, bytes]:
        out = tmp_path_factory.mktemp("undisturbed") / "out"
        endpoint.begin(None)
        assert clips.build(out, endpoint.address, *options) == 0
        assert labelled(out) == ITEMS
        assert not endpoint.paid_twice
        return shards(out)

    return lambda options: built(*options)


@pytest.mark.parametrize("mode", MODES.values(), ids=MODES.keys())
def test_a_build_ends_as_documented_and_goes_on_once_the_fault_is_gone(
    mode: Mode,
    clips: Clips,
    endpoint: MisbehavingEndpoint,
    undisturbed: Callable[[Sequence[str]], dict[str, bytes]],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    options = ["--necessity"] if mode.necessity else []
    expected, out = undisturbed(options), tmp_path / "out"
    endpoint.begin(mode)
    code = clips.build(out, endpoint.address, *options, *(IMPATIENT if mode.impatient else ()))
    import os

    if os.environ.get("CODES"):
        with open(os.environ["CODES"], "a") as f:
            import collections

            print(
                mode.name,
                code,
                len(endpoint.asked),
                dict(collections.Counter(r["verdict"] for r in put_aside(out))),
                file=f,
            )
    assert code in mode.codes
    aside = put_aside(out) if code in (0, 3) else []
    if code in (0, 3):
        assert labelled(out) + len(aside) == ITEMS
    endpoint.repair()
    if code != 0:
        assert clips.build(out, endpoint.address, *options, *to_ask_again(aside)) == 0
    assert shards(out) == expected
    assert not endpoint.paid_twice
    printed = capfd.readouterr()
    assert "Traceback" not in printed.out + printed.err
