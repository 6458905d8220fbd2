"""Router figures follow from the run folder alone: evidence is where a sampled frame stands for it, policies meet the truth."""

import csv
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from videorouter.eval.__main__ import main
from videorouter.eval.benchmarks.items import Item, KnownTruth
from videorouter.eval.report.joined_runs import join_runs
from videorouter.eval.report.router_figures import (
    AUROC,
    PRECISION,
    RECALL,
    TENTH,
    TOKENS,
    Evidence,
    Policies,
    evidence_of,
    routing,
)
from videorouter.eval.run_folder import (
    ITEMS,
    MANIFEST,
    PREDICTIONS,
    THRESHOLD,
    VIDEOS,
    Cell,
    Prediction,
    SampledVideo,
    append_predictions,
    item_row,
    write_rows,
)
from videorouter.routers.systems.spec import Kind

INDICES = list(range(5, 105, 10))
WATCHED = SampledVideo("lvbench", "a.mp4", "a.mp4", 10, INDICES, [index / 10 for index in INDICES], 10.0)
"""Ten frames sampled, ten frames of the file and a second apart: 0.5 s, 1.5 s, ..."""
SURE = [0.1, 0.9, 0.2, 0.6, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1]
TORN = [0.1, 0.1, 0.4, 0.1, 0.1, 0.1, 0.1, 0.4, 0.1, 0.1]


def item(name: str, video: str = "a.mp4", kind: str = "reasoning", **known: Any) -> Item:
    return Item(name, Path(video), "What?", ("x", "y"), "A", {"question_type": kind}, **known)


def answer(
    of: Item,
    policy: str | None = "fragment",
    relevance: list[float] | None = None,
    given: Mapping[int, int] | None = None,
    merged: int = 1,
    system: str = "videorouter",
    kind: Kind = "compared",
) -> Prediction:
    """`given` tokens by frame, of which the model made one of `merged` sampled ones."""
    given = given or dict.fromkeys(range(10 // merged), 8 * merged)
    return Prediction(
        "lvbench", of.id, of.video.name, of.group, "large", system, 10, 80, 80, sum(given.values()), list(given),
        [INDICES[frame * merged] for frame in given], list(given.values()), relevance, policy, "own@1", "A", "A", "A", 2,
        {"prefill": 0.1}, kind,
    )  # fmt: skip


def write(out: Path, asked: Sequence[tuple[Item, Prediction]], **manifest: object) -> Path:
    """A run folder over the ten sampled frames."""
    out.mkdir()
    write_rows(out / ITEMS, [item_row("lvbench", one) for one, _ in asked])
    write_rows(out / VIDEOS, [asdict(WATCHED) | {"video": name} for name in sorted({i.video.name for i, _ in asked})])
    append_predictions(out / PREDICTIONS, (made for _, made in asked))
    (out / MANIFEST).write_text(json.dumps({"models": {"large": {}}, **manifest}))
    return out


def marked(second_video: str) -> list[tuple[Item, Prediction]]:
    """Two questions with marked evidence that were scored, one that was not, one without evidence."""
    frames = item("frames", evidence_frames=(12, 33))
    span = item("span", second_video, "summary", evidence_spans=((2.0, 4.0),))
    unscored, unmarked = item("unscored", evidence_spans=((2.0, 4.0),)), item("unmarked")
    return [
        (frames, answer(frames, relevance=SURE, given={1: 40, 3: 20, 5: 20})),
        (span, answer(span, relevance=TORN)),
        (unscored, answer(unscored, "global")),
        (unmarked, answer(unmarked, relevance=SURE)),
    ]


def evidence(run: Path) -> Evidence:
    (own,) = routing(join_runs([run]), Cell("lvbench", 10, 80))
    assert own.evidence is not None
    return own.evidence


def policies(run: Path) -> Policies:
    (own,) = routing(join_runs([run]), Cell("lvbench", 10, 80))
    assert own.policies is not None
    return own.policies


@pytest.mark.parametrize(
    ("known", "scored", "held"),
    [
        ({"evidence_frames": (12, 33)}, 10, {1, 3}),
        ({"evidence_frames": (20,)}, 10, {1, 2}),  # in the middle
        ({"evidence_frames": (105, 106)}, 10, {9}),  # the second is farther from the last than the frames lie apart
        ({"evidence_spans": ((1.5, 3.5),)}, 10, {1, 2}),
        ({"evidence_spans": ((1.6, 1.9),)}, 10, {1}),  # between two sampled frames
        ({"evidence_spans": ((20.0, 30.0),)}, 10, set()),
        ({"evidence_spans": ((1.5, 3.5),), "evidence_frames": (95,)}, 10, {1, 2, 9}),
        ({"evidence_spans": ((1.5, 3.5),), "truth": KnownTruth("fragment", ((6.0, 7.0),))}, 10, {6}),
        ({"truth": KnownTruth("fragment", ((1.6, 1.9),))}, 10, set()),  # nothing of it was sampled
        ({"evidence_frames": (12, 33)}, 5, {0, 1}),
        ({"evidence_frames": (95,)}, 4, {3}),  # four scores for three frames each, the last for one
    ],
)
def test_evidence_belongs_to_the_sampled_frames_that_stand_for_it(
    known: dict[str, Any], scored: int, held: set[int]
) -> None:
    found = evidence_of(item("q", **known), WATCHED, scored)
    assert len(found) == scored
    assert {frame for frame, own in enumerate(found) if own} == held


def test_recall_of_marked_evidence_stands_beside_chance(tmp_path: Path) -> None:
    found = evidence(write(tmp_path / "run", marked("b.mp4"), **{THRESHOLD: 0.5}))
    assert (found.asked, found.counted, found.threshold) == (3, 2, 0.5)
    told = {name: (own.mean, own.chance) for name, own in found.measures.items()}
    assert told == {  # nothing else is said not to be evidence: neither precision nor AUROC
        RECALL: pytest.approx(((1 + 0) / 2, (0.2 + 0) / 2)),
        TENTH: pytest.approx(((1 / 2 + 1 / 4) / 2, 0.1)),  # one place, which two frames of one score share
        TOKENS: pytest.approx(((60 / 80 + 16 / 80) / 2, 0.2)),
    }
    assert (found.measures[RECALL].low, found.measures[RECALL].high) == (0, 1)


def test_questions_of_one_video_are_drawn_together(tmp_path: Path) -> None:
    found = evidence(write(tmp_path / "run", marked("a.mp4"))).measures[TENTH]
    assert found.low == found.mean == found.high


def test_frames_that_the_model_merged_are_counted_as_it_counts_them(tmp_path: Path) -> None:
    asked = item("q", evidence_frames=(12, 33))
    made = answer(asked, relevance=[0.2, 0.9, 0.1, 0.1, 0.1], given={0: 30, 1: 30, 4: 20}, merged=2)
    measures = evidence(write(tmp_path / "run", [(asked, made)], **{THRESHOLD: 0.5})).measures
    assert (measures[RECALL].mean, measures[RECALL].chance) == (0.5, pytest.approx(0.2))
    assert (measures[TENTH].mean, measures[TENTH].chance) == (0.5, 0.2)
    assert (measures[TOKENS].mean, measures[TOKENS].chance) == (0.75, 0.4)


def test_where_the_truth_is_known_policies_and_single_frames_are_held_to_it(tmp_path: Path) -> None:
    known = [item(name, truth=KnownTruth("fragment", ((2.0, 4.0),))) for name in ("found", "missed")]
    whole = [item(name, truth=KnownTruth("global", ((0.0, 10.0),))) for name in ("rightly", "wrongly")]
    asked = [
        (known[0], answer(known[0], relevance=[0.1, 0.3, 0.9, 0.2, *[0.1] * 6])),
        (known[1], answer(known[1], "global")),
        (whole[0], answer(whole[0], "global")),
        (whole[1], answer(whole[1], relevance=SURE)),
        (known[0], answer(known[0], system="oracle", kind="bound")),
        (known[0], answer(known[0], system="videorouter(policy=global)", policy="global", kind="reference")),
    ]
    run = write(tmp_path / "run", asked, **{THRESHOLD: 0.25})
    assert policies(run).right is not None
    assert policies(run).right.mean == 0.5  # type: ignore[union-attr]
    assert policies(run).against == Counter(
        (truth, chosen) for truth in ("global", "fragment") for chosen in ("global", "fragment")
    )
    found = evidence(run)
    assert (found.asked, found.counted) == (2, 1)
    assert found.measures[PRECISION].mean == 0.5
    assert (found.measures[AUROC].mean, found.measures[AUROC].chance) == (pytest.approx(15 / 16), 0.5)


def test_tables_and_page_tell_what_was_routed_and_what_is_not_known(tmp_path: Path) -> None:
    run = write(tmp_path / "run", marked("b.mp4"))
    assert main(["report", str(run), "--out", str(tmp_path / "out")]) == 0
    text = (tmp_path / "out" / "tables.md").read_text()
    assert "| videorouter | 75.0 (3 of 4) | 66.7 (2 of 3) | 100.0 (1 of 1) |" in text
    assert "| videorouter | 2 of 3 | 37.5 (25.0–50.0; chance 10.0) | 47.5 (20.0–75.0; chance 20.0) |" in text
    assert "Where no manifest says the threshold, nothing is told at it" in text
    rows = {row["group"]: row for row in csv.DictReader((tmp_path / "out" / "tables.csv").read_text().splitlines())}
    assert (rows["summary"]["routed_fragment"], rows["summary"]["evidence_counted"]) == ("1", "")
    assert (rows["all"]["evidence_counted"], rows["all"]["recall"], rows["all"]["recall_in_tenth"]) == (
        "2",
        "",
        "0.375000",
    )
    assert r"\label{tab:lvbench-evidence}" in (tmp_path / "out" / "tables.tex").read_text()
    assert 'id="routers"' in (tmp_path / "out" / "index.html").read_text()


def test_nothing_is_said_of_routers_where_nothing_was_routed(tmp_path: Path) -> None:
    asked = item("q", evidence_spans=((2.0, 4.0),))
    run = write(tmp_path / "run", [(asked, answer(asked, None, system="uniform_pooling"))])
    assert main(["report", str(run), "--reference", "uniform_pooling", "--out", str(tmp_path / "out")]) == 0
    for name in ("tables.md", "tables.tex", "index.html"):
        assert "outers" not in (tmp_path / "out" / name).read_text().replace("VideoRouter", "").replace(".routers", "")
