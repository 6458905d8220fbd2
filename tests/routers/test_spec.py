"""A system is written as NAME(option=value, ...); what is written wrong is told with what there is."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videorouter.routers.routing.options import RoutingOptions
from videorouter.routers.systems.adapttoken import AdaptTokenLite
from videorouter.routers.systems.registry import build_system
from videorouter.routers.systems.spec import parse_spec
from videorouter.routers.systems.videorouter import RoutedCompression

NAMES = st.from_regex(r"[a-z][a-z_0-9]{0,8}", fullmatch=True)
VALUES = st.none() | st.booleans() | st.integers(-999, 999) | st.floats(-9, 9).map(lambda x: round(x, 3))


def built(spec: str) -> Any:
    backbone = SimpleNamespace(grid=(4, 4), hidden_size=8, device="cpu", layers=6, path="any")
    return build_system(spec, RoutedCompression(cast(Any, backbone), cast(Any, None), cast(Any, None)))


@given(NAMES, st.dictionaries(NAMES, VALUES, max_size=4))
def test_what_is_written_is_read_back(name: str, options: dict[str, Any]) -> None:
    words = {option: "null" if value is None else str(value).lower() for option, value in options.items()}
    text = f" {name} ( {' , '.join(f'{option} = {word}' for option, word in words.items())} ) "
    spec = parse_spec(text)
    assert (spec.name, spec.options) == (name, options)
    assert parse_spec(str(spec)) == spec


@pytest.mark.parametrize("text", ["", "a(b", "a(b=)", "a b", "a(=2)", "a(b)", "a)", "a(b=1)c"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"write NAME or NAME\(option=value"):
        parse_spec(text)


def test_a_systems_own_options_reach_it() -> None:
    lite = built("adapttoken_lite(max_entropy=0.3, confident_groups=1, layer=2)")
    assert isinstance(lite, AdaptTokenLite)
    assert (lite.max_entropy, lite.confident_groups, lite.layer, lite.tau) == (0.3, 1, 2, 2.0)
    assert lite.name == "adapttoken_lite(max_entropy=0.3, confident_groups=1, layer=2)"


def test_general_options_and_routing_options_do_too() -> None:
    assert built("uniform_pooling(scale=8)").scale == 8
    assert built("random_drop(seed=5)").seed == 5
    assert built("vidcom2(fill=true)").fill
    routed = built("videorouter(graded=true, smoothing=2)")
    assert routed.options == RoutingOptions(graded=True, smoothing=2)
    assert routed.policy is None


def test_the_adjustment_is_named_after_what_it_adjusts() -> None:
    assert built("fca+random_drop(seed=5)").name == "fca+random_drop(seed=5)"


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("adapttoken(depth=3)", r"no option 'depth'; there are: layer, group_frames, tau"),
        ("adapttoken(layer=2, tau=many)", r"tau cannot be 'many'"),
        ("videorouter(budget=3)", r"no option 'budget'; there are: min_confidence, smoothing"),
        ("videorouter(graded=1)", r"graded cannot be 1"),
        ("videorouter(min_confidence=2)", r"min_confidence 2 is not a probability"),
        ("videorouter(graded=true, screen_side=224)", r"choose one of them"),
        ("dense(name=sparse)", r"no option 'name'; there are: none"),
    ],
)
def test_a_wrong_option_is_told_with_those_there_are(spec: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        built(spec)
