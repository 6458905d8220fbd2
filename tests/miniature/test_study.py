"""The study: its bounds follow from predictions, its files can be read, its system of wrong frames never shows the evidence."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from videorouter.eval.run_folder import Prediction
from videorouter.eval.statistics import kept_share, paired_difference
from videorouter.miniature.study.budgets import DENSE_TOKENS, HEADLINE
from videorouter.miniature.study.claims import PAIRS, check_bounds
from videorouter.miniature.study.comparison import OPTIONS, ROUTING, TRAINING_FREE, compare_systems
from videorouter.miniature.study.probes import ProbeAccuracies, WrongFrames, measure_probes
from videorouter.miniature.study.report import report
from videorouter.routers.backbones.loading import load_backbone
from videorouter.routers.routing.allocation import Scales
from videorouter.routers.systems.query import Query, Truth

KIND_OF = {"fragment": "glyph_by_shape", "global": "count_cue"}


def test_the_system_of_wrong_frames_sharpens_as_many_frames_but_never_the_evidence() -> None:
    truth = Truth("fragment", tuple(frame in (5, 6) for frame in range(64)))
    kept = WrongFrames((4, 4), Scales(4, 1, 8)).compress(torch.randn(64, 16, 8), Query("What?", ("a", "b"), truth), 329)
    tokens = {span.frame: span.tokens for span in kept.spans}
    assert tokens[5] == tokens[6] == 2
    assert sorted(tokens.values())[-3:] == [2, 16, 16]


def test_bounds_hold_or_break_with_the_predictions() -> None:
    good = made(routed=0.95, pooled=0.5)
    held = {bound.what: bound.held for bound in check_bounds(good, ProbeAccuracies(0.99, 0.34, 1 / 3))}
    assert all(held.values()), [what for what, kept in held.items() if not kept]
    bad = {b.what: b.held for b in check_bounds(made(routed=0.5, pooled=0.9), ProbeAccuracies(0.9, 0.5, 1 / 3))}
    assert not any(kept for what, kept in bad.items() if "VideoRouter" in what or "probe" in what)
    assert not bad["uniform_pooling s=4 loses on fragment"]


def test_a_difference_is_paired_and_needs_the_same_items() -> None:
    better, worse = predictions("a", right=0.9), predictions("b", right=0.5)
    difference = paired_difference(better, worse)
    assert difference.low < difference.mean < difference.high
    assert abs(difference.mean - 0.4) < 1e-9


@pytest.mark.slow
def test_a_report_leaves_a_table_figures_a_plot_and_bounds(router: Path, tmp_path: Path) -> None:
    report(tmp_path / "r", robust=router, dense=router, videos=7, questions_per_video=6, points=1)
    with (tmp_path / "r" / "report.csv").open() as file:
        rows = list(csv.DictReader(file))
    systems = {row["system"] for row in rows if row["base"] == "robust"}
    assert {"dense", "oracle", "frame_budget", "uniform_pooling", "videorouter", "wrong_frames_sharp"} <= systems
    assert all(0 <= float(row["low"]) <= float(row["accuracy"]) <= float(row["high"]) <= 1 for row in rows)
    equal = [
        float(row["tokens"])
        for row in rows
        if row["fed"] == "equal" and row["group"] == "all" and row["base"] == "robust"
    ]
    assert max(equal) - min(equal) <= 0.01 * max(equal)
    assert (tmp_path / "r" / "report.png").read_bytes().startswith(b"\x89PNG")
    assert "VideoRouter minus each system" in (tmp_path / "r" / "report.md").read_text()
    assert {"what", "measured", "bound", "held"} == set(json.loads((tmp_path / "r" / "bounds.json").read_text())[0])


@pytest.mark.slow
def test_a_comparison_answers_by_every_system_and_checks_every_claim(router: Path, tmp_path: Path) -> None:
    compare_systems(tmp_path / "c", robust=router, dense=router, videos=7, questions_per_video=2, points=1)
    found = json.loads((tmp_path / "c" / "comparison.json").read_text())
    answered = {(row["base"], row["system"]) for row in found["rows"]}
    assert {("dense", name) for name in TRAINING_FREE} | {("robust", name) for name in (*ROUTING, *OPTIONS)} <= answered
    assert len(found["claims"]) == 2 + len(PAIRS)
    at_one_budget = [row["tokens"] for row in found["rows"] if row["base"] == "dense" and row["system"] != "dense"]
    assert max(at_one_budget) <= HEADLINE.budget
    assert (tmp_path / "c" / "comparison.png").read_bytes().startswith(b"\x89PNG")
    assert "| graded=true |" in (tmp_path / "c" / "comparison.md").read_text()
    with pytest.raises(ValueError, match="already holds a comparison"):
        compare_systems(tmp_path / "c", robust=router, dense=router)


def test_a_share_of_accuracy_has_an_interval_and_needs_the_same_items() -> None:
    whole, system = predictions("a", right=0.8), predictions("b", right=0.6)
    share = kept_share(system, whole)
    assert share.mean == pytest.approx(0.75)
    assert share.low < 0.75 < share.high
    assert kept_share(whole, whole).low == kept_share(whole, whole).high == 1
    with pytest.raises(ValueError, match="same items"):
        kept_share(system[1:], whole)


def test_random_tokens_of_the_base_lose_the_place_when_pooled(base: Path) -> None:
    found = measure_probes(load_backbone(str(base)), pictures=300)
    assert found.guessing == 1 / 3
    assert found.pooled < 0.5


def made(routed: float, pooled: float) -> dict[tuple[str, str, str, int], list[Prediction]]:
    at = HEADLINE.budget
    return {
        ("robust", "dense", "cap", DENSE_TOKENS): predictions("dense", right=0.96),
        ("dense", "dense", "cap", DENSE_TOKENS): predictions("dense", right=0.96),
        ("robust", "oracle", "cap", at): predictions("oracle", right=0.95),
        ("robust", "wrong_frames_sharp", "cap", at): predictions(
            "wrong_frames_sharp", right=0.3, policies=["fragment"]
        ),
        ("robust", "frame_budget", "cap", at): predictions("frame_budget", right=0.5),
        ("robust", "uniform_pooling s=4", "cap", at): predictions("uniform_pooling", right=pooled),
        ("robust", "videorouter", "equal", at): predictions("videorouter", right=routed),
        ("robust", "uniform_pooling", "equal", at): predictions("uniform_pooling", right=pooled),
    }


def predictions(system: str, right: float, policies: Sequence[str] = ("fragment", "global")) -> list[Prediction]:
    """Forty questions of each policy about ten videos, the share `right` of each answered rightly."""
    return [
        Prediction(
            benchmark="miniature",
            item=f"{policy}-{number}",
            video=f"video-{number % 10}",
            group=KIND_OF[policy],
            model="robust",
            system=system,
            sampled=64,
            cap=329,
            budget=329,
            tokens=300,
            frames=[0],
            indices=[0],
            tokens_by_frame=[300],
            relevance=None,
            policy=None,
            prompt="house",
            text="A",
            choice="A" if number < round(right * 40) else "B",
            answer="A",
            options=3 if policy == "fragment" else 4,
            seconds_by_stage={"decode": 0.0, "vision": 0.0, "route": 0.0, "prefill": 0.0, "generate": 0.0},
        )
        for policy in policies
        for number in range(40)
    ]
