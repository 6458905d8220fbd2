"""Compared systems feed the same tokens, intervals respect videos, and a run leaves everything behind."""

import json
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from videorouter.eval.__main__ import main
from videorouter.eval.benchmarks.items import KnownTruth
from videorouter.eval.benchmarks.registry import load_items
from videorouter.eval.report.joined_runs import join_runs
from videorouter.eval.report.router_figures import AUROC, PRECISION, RECALL, routing
from videorouter.eval.run_folder import read_predictions
from videorouter.eval.running.comparison import can_spend, item_budgets
from videorouter.eval.statistics import bootstrap_interval, check_equal, summarise

STEP = 16
TRUE_DIFFERENCE = NormalDist().cdf(0.3 / (1 + 0.8**2 + 0.5**2 + 0.6**2) ** 0.5) - 0.5
"""Of the simulated systems: a probit of normal effects is a probit again."""


@given(st.floats(16, 900), st.integers(1, 400))
def test_item_budgets_average_to_the_mean_asked_for(mean: float, items: int) -> None:
    budgets = item_budgets(mean, items, STEP, cap=1024)
    assert len(budgets) == items
    assert all(budget % STEP == 0 and budget >= STEP * (mean // STEP) for budget in budgets)
    assert abs(sum(budgets) / items - mean) <= STEP / 2 / items + 1e-6


def test_a_cap_between_whole_frames_holds_as_many_as_it_holds_of_every_item() -> None:
    """As of a base alone, whose budget is the mean: systems that spend tokens one by one get no more than whole frames."""
    assert item_budgets(60, 4, 16, cap=60) == [48] * 4
    assert item_budgets(60, 4, [16, 21, 16, 21], cap=60) == [48, 42, 48, 42]
    assert item_budgets(24, 3, [1, 16, 1], cap=24) == [
        24,
        16,
        24,
    ]  # a frame of more than 24 tokens is counted in tokens


@given(st.floats(500, 9000), st.lists(st.integers(4, 768), min_size=1, max_size=200))
def test_item_budgets_are_whole_frames_of_each_items_own_video(mean: float, per_frame: list[int]) -> None:
    budgets = item_budgets(mean, len(per_frame), per_frame, cap=12_288)
    assert all(budget % step == 0 and budget >= 0 for budget, step in zip(budgets, per_frame, strict=True))
    assert abs(sum(budgets) / len(budgets) - mean) <= max(per_frame) / 2 / len(budgets) + 1e-6
    assert item_budgets(mean, 9, [64] * 9, cap=12_288) == item_budgets(mean, 9, 64, cap=12_288)


@given(st.integers(1, 400), st.floats(1, 512))
def test_a_scale_whose_tokens_are_enough_for_each_item_is_enough_for_all(items: int, mean: float) -> None:
    """Whatever a mean's digits: a sum of many equal means is not exactly their number times the mean."""
    assert can_spend(2, 64, [16] * items, mean)
    assert not can_spend(4, 64, [16] * items, 256 + mean)


def test_items_of_other_shapes_must_spend_nearly_all() -> None:
    assert can_spend(2, 64, [16, 16, 20], 512)
    assert not can_spend(2, 64, [16, 12, 20], 512)


def test_unequal_systems_are_refused_by_name() -> None:
    check_equal({"videorouter": [100, 102], "other": [101, 101]}, "videorouter")
    with pytest.raises(ValueError, match=r"videorouter fed 101\.0 tokens a question, other 104\.0"):
        check_equal({"videorouter": [100, 102], "other": [104, 104]}, "videorouter")


def test_the_interval_covers_the_true_mean_about_as_often_as_it_says() -> None:
    random = np.random.default_rng(0)
    covered = 0
    for experiment in range(200):
        videos = np.repeat(np.arange(120), 3)
        rate = np.clip(random.normal(0.6, 0.2, 120), 0, 1)
        values = random.random(360) < rate[videos]
        low, high = bootstrap_interval(values, [str(v) for v in videos], seed=experiment)
        covered += low <= 0.6 <= high
    assert 0.90 <= covered / 200 <= 0.99


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_paired_intervals_cover_the_true_difference_in_93_to_97_of_100_experiments(seed: int) -> None:
    """Two systems, 220 videos of one to five questions each, right or wrong together more often than by chance."""
    random = np.random.default_rng(seed)
    covered, experiments = 0, 5000
    for experiment in range(experiments):
        sizes = random.integers(1, 6, 220)
        videos = np.repeat(np.arange(220), sizes)
        hardness = random.normal(0, 0.8, 220)[videos] + random.normal(0, 0.5, len(videos))
        advantage = random.normal(0.3, 0.6, 220)[videos]
        first = random.normal(size=len(videos)) < hardness + advantage
        second = random.normal(size=len(videos)) < hardness
        low, high = bootstrap_interval(first.astype(float) - second, [str(v) for v in videos], seed=experiment)
        covered += low <= TRUE_DIFFERENCE <= high
    print(f"seed {seed}: {covered / experiments:.4f}")
    assert 0.93 <= covered / experiments <= 0.97


def test_questions_of_one_video_are_not_independent() -> None:
    values = np.repeat([1, 0, 1, 0, 1, 0, 1, 0, 1, 0], 30)
    alone = bootstrap_interval(values, [str(i) for i in range(300)])
    together = bootstrap_interval(values, [str(i // 30) for i in range(300)])
    assert together[1] - together[0] > 3 * (alone[1] - alone[0])


def test_the_truth_of_frames_follows_from_spans() -> None:
    truth = KnownTruth("fragment", ((1.0, 2.0), (5.0, 6.0))).of_frames([0.5, 1.0, 1.9, 2.0, 5.5])
    assert truth.relevant == (False, True, True, False, True)


def test_the_miniature_is_a_benchmark(world: Path) -> None:
    items = load_items("miniature", world, "test")
    assert len(items) == 16
    assert all(item.answer in "ABCD" and item.truth for item in items)
    with pytest.raises(ValueError, match="split 'nothing'"):
        load_items("miniature", world, "nothing")


@pytest.fixture(scope="module")
def run(world: Path, router: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("eval") / "run"
    arguments = ["run", "--config", "eval/miniature", "--model", str(router), "--data", str(world), "--out", str(out)]
    assert main([*arguments, "--validation_limit", "8"]) == 0
    return out


def test_a_run_leaves_predictions_a_summary_and_a_picture(run: Path) -> None:
    predictions = read_predictions(run / "predictions.jsonl")
    systems = {prediction.system for prediction in predictions}
    assert systems == {"frame_budget", "uniform_pooling", "videorouter", "dense", "oracle"}
    assert len(predictions) == 5 * 16
    assert all(p.fed <= 329 for p in predictions if p.system != "dense")
    assert (run / "accuracy_against_tokens.png").read_bytes().startswith(b"\x89PNG")


def test_compared_systems_fed_the_same_tokens(run: Path) -> None:
    predictions = read_predictions(run / "predictions.jsonl")
    means = {
        name: np.mean([p.tokens for p in predictions if p.system == name])
        for name in ("videorouter", "frame_budget", "uniform_pooling")
    }
    assert max(means.values()) <= 1.01 * min(means.values())
    assert {p.tokens for p in predictions if p.system == "dense"} == {1024}


def test_training_free_systems_are_compared_at_equal_tokens_too(world: Path, router: Path, tmp_path: Path) -> None:
    systems = ["videorouter", "vidcom2", "fca+videorouter"]
    arguments = ["run", "--config", "eval/miniature", "--model", str(router), "--data", str(world), "--limit", "4"]
    assert main([*arguments, "--validation_limit", "4", "--systems", json.dumps(systems), "--out", str(tmp_path)]) == 0
    made = read_predictions(tmp_path / "predictions.jsonl")
    assert {prediction.system for prediction in made} == set(systems)
    assert all(prediction.fed <= (prediction.budget or 0) for prediction in made)


def test_the_summary_follows_from_the_predictions_alone(run: Path) -> None:
    written = {row["system"]: row for row in json.loads((run / "summary.json").read_text())["systems"]}
    predictions = read_predictions(run / "predictions.jsonl")
    for name, row in written.items():
        again = summarise([p for p in predictions if p.system == name])
        assert (again.accuracy, again.low, again.high) == (row["accuracy"], row["low"], row["high"])
        assert again.tokens_mean == row["tokens_mean"]


def test_router_quality_is_measured_on_both_splits(run: Path) -> None:
    routers = json.loads((run / "summary.json").read_text())["routers"]
    assert [row["split"] for row in routers] == ["val", "test"]
    assert all(0 <= row["image_auroc"] <= 1 for row in routers)


def test_the_report_finds_the_router_quality_that_was_measured(world: Path, router: Path, tmp_path: Path) -> None:
    arguments = ["run", "--config", "eval/miniature", "--model", str(router), "--data", str(world), "--limit", "8"]
    systems = json.dumps(["videorouter", "videorouter(policy=fragment)"])
    assert main([*arguments, "--validation_limit", "8", "--systems", systems, "--out", str(tmp_path)]) == 0
    measured = json.loads((tmp_path / "summary.json").read_text())["routers"][-1]
    joined = join_runs([tmp_path])
    chosen, forced = (own for own in routing(joined, next(iter(joined.answers))))
    assert chosen.policies is not None
    assert chosen.policies.right is not None
    assert forced.evidence is not None
    assert chosen.policies.right.mean == pytest.approx(measured["policy_accuracy"])
    assert forced.evidence.counted == measured["fragment_questions"]
    for name, key in ((AUROC, "image_auroc"), (RECALL, "image_recall"), (PRECISION, "image_precision")):
        assert forced.evidence.measures[name].mean == pytest.approx(measured[key], abs=0.02)  # four decimals of a score


def test_runs_are_never_mixed(run: Path, world: Path, router: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["run", "--config", "eval/miniature", "--model", str(router), "--data", str(world), "--out", str(run)]
    assert main(arguments) == 1
    assert "already holds predictions" in capsys.readouterr().err
