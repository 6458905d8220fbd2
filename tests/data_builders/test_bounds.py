"""A number that means nothing is refused by name before anything is built, instead of building nothing, or nonsense, with it."""

from pathlib import Path
from typing import Any

import pytest

from tests.data_builders.small_builds import SmallBuild
from videorouter.data_builders.building.config import BuildConfig, RunConfig
from videorouter.data_builders.flr.annotate import ScoringConfig
from videorouter.data_builders.flr.generate import GenerateConfig
from videorouter.data_builders.flr.splice import SpliceConfig
from videorouter.data_builders.qtr.probe import ProbeConfig
from videorouter.data_builders.teacher.config import TeacherConfig, read_prices
from videorouter.data_builders.teacher.endpoints import open_endpoints
from videorouter.data_builders.videos import FrameConfig

NOBODY = "http://127.0.0.1:9/v1"
INFINITE, NAN = float("inf"), float("nan")
HERE = Path(__file__).parent


@pytest.mark.parametrize(
    ("section", "needed", "refused"),
    [
        (ScoringConfig, {}, {"window": (0, -1), "threshold": (-1, 101), "boundary": (-1,)}),
        (GenerateConfig, {}, {"window": (0,), "questions_per_video": (0, -3)}),
        (SpliceConfig, {}, {"clips_per_video": (0, -1)}),
        (ProbeConfig, {}, {"per_category": (0, -1), "budget": (0,), "tokens_per_frame": (0,), "global_scale": (0, -2)}),
        (BuildConfig, {"questions": HERE, "out": HERE}, {"videos_per_shard": (0, -1)}),
        (
            RunConfig,
            {},
            {
                **{"workers": (0,), "dry_run": (-1,), "refused_in_a_row": (-1,), "tolerate": (-0.1, 1.5, NAN)},
                **{"max_usd": (-1.0, NAN), "max_tokens": (-1,), "tokens_per_second": (0.0, INFINITE)},
                "shard_range": ("3:1", "a:b"),
            },
        ),
        (
            FrameConfig,
            {"videos": HERE},
            {"frames": (0,), "quality": (0, 101), "deadline": (0.0, -1.0, NAN), "memory": (0.0,), "shortest": (-1.0,)},
        ),
        (TeacherConfig, {}, {"timeout": (0.0, INFINITE), "concurrency": (0,), "patience": (NAN,), "max_tokens": (0,)}),
    ],
)
def test_numbers_out_of_bounds_are_refused_by_name(
    section: type[Any], needed: dict[str, Any], refused: dict[str, tuple[Any, ...]]
) -> None:
    section(**needed)
    for name, values in refused.items():
        for value in values:
            with pytest.raises(ValueError, match=name):
                section(**needed, **{name: value})


@pytest.mark.parametrize("option", ["--window", "--videos_per_shard"])
@pytest.mark.parametrize("builder", [("flr", "annotate"), ("flr", "generate")])
def test_a_build_with_such_a_number_does_not_begin(
    option: str, builder: tuple[str, ...], world: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    build = SmallBuild(world, tmp_path, videos=1)
    assert build.run(NOBODY, "out", option, "-1", builder=builder) == 1
    assert f"{option[2:]} is -1: give 1 or more" in capfd.readouterr().err
    assert not (tmp_path / "out" / "build.json").exists()


@pytest.mark.parametrize("price", [".inf", ".nan", "-1"])
def test_a_price_that_no_cap_can_count_with_is_refused(price: str, tmp_path: Path) -> None:
    (tmp_path / "prices.yaml").write_text(f"m: {{input: {price}, output: 1}}")
    with pytest.raises(ValueError, match="is not a price table"):
        read_prices(tmp_path / "prices.yaml")


@pytest.mark.parametrize("name", ["", "x y", "\u00e9", "a:b", "Content-Length", "transfer-encoding"])
def test_a_header_that_cannot_be_set_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is no name of a header"):
        open_endpoints(TeacherConfig(NOBODY, headers={name: "1"}))
