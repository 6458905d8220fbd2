"""Which row of a comparison a system is follows from the system, is recorded with its answers, and is read from there alone."""

import json
from pathlib import Path

import pytest

from tests.eval.runs import KINDS, write_run
from videorouter.eval.__main__ import main
from videorouter.eval.report.figures import all_figures
from videorouter.eval.report.joined_runs import join_runs
from videorouter.eval.report.notes import notes
from videorouter.eval.run_folder import PREDICTIONS, kind_by_name, read_rows, write_rows
from videorouter.eval.running.controls import system_or_control
from videorouter.routers.answering.video_router import VideoRouter
from videorouter.routers.systems.registry import SYSTEMS
from videorouter.routers.systems.spec import Kind

ROWS: dict[str, tuple[Kind, bool]] = {
    "dense": ("reference", True), "oracle": ("bound", True), "videorouter": ("compared", True),
    "videorouter(policy=fragment)": ("reference", True), "videorouter(screen_side=56)": ("reference", True),
    "fca+videorouter": ("compared", True), "fca+videorouter(policy=fragment)": ("compared", True),
    "fca+random_drop": ("compared", False), "uniform_pooling": ("compared", False), "vidcom2": ("compared", False),
    "adapttoken_lite(max_entropy=0.3)": ("compared", False),
    "blind": ("control", True), "shuffled+videorouter": ("control", True), "shuffled+frame_budget": ("control", False),
}  # fmt: skip
"""Kind of a system, and whether it spends the cap."""


@pytest.fixture(scope="module")
def loaded(router: Path) -> VideoRouter:
    return VideoRouter.from_pretrained(router)


@pytest.mark.parametrize("spec", ROWS)
def test_a_system_says_which_row_it_is_and_whether_it_spends_the_cap(loaded: VideoRouter, spec: str) -> None:
    system = system_or_control(loaded, spec)
    assert system.name == spec
    assert (system.kind, system.spends_cap) == ROWS[spec]


@pytest.mark.parametrize("spec", sorted({*SYSTEMS, *ROWS} - {"relevance_pooling"}))
def test_the_name_in_an_earlier_run_tells_what_the_system_says(loaded: VideoRouter, spec: str) -> None:
    assert kind_by_name(spec) == system_or_control(loaded, spec).kind


def changed(run: Path, system: str | None, kind: Kind | None) -> Path:
    """The run, with another kind of a system, or of all, or without it where None, as earlier versions left it."""
    rows = read_rows(run / PREDICTIONS)
    for row in rows:
        if system in (None, row["system"]):
            row.pop("kind")
            row |= {} if kind is None else {"kind": kind}
    write_rows(run / PREDICTIONS, rows)
    return run


def test_a_run_of_an_earlier_version_makes_the_same_report(tmp_path: Path) -> None:
    for name in ("now", "before"):
        write_run(tmp_path / name / "run")
    changed(tmp_path / "before" / "run", None, None)
    for name in ("now", "before"):
        assert main(["report", str(tmp_path / name / "run"), "--out", str(tmp_path / name / "report")]) == 0
    for file in ("tables.md", "tables.tex", "tables.csv", "index.html"):
        assert (tmp_path / "now" / "report" / file).read_bytes() == (tmp_path / "before" / "report" / file).read_bytes()


@pytest.mark.parametrize("kind", ["reference", "bound", "control"])
def test_a_report_goes_by_the_kind_and_never_by_the_name(tmp_path: Path, kind: Kind) -> None:
    run = changed(write_run(tmp_path / "run"), "vidcom2", kind)
    for reference in KINDS:
        changed(run, reference, "compared")
    joined = join_runs([run])
    rows = {row.contender.system: row for row in all_figures(joined, "videorouter", mix_budgets=True)[0].rows}
    assert [name for name, row in rows.items() if row.apart] == ["vidcom2"]
    assert [name for name, row in rows.items() if not row.real] == ([] if kind == "reference" else ["vidcom2"])
    told = " ".join(notes(all_figures(joined, "videorouter", mix_budgets=True), joined, True))
    assert ("It is a bound" in told, "controls, never" in told) == (kind == "bound", kind == "control")


def test_the_kind_is_an_added_field_of_every_line(tmp_path: Path) -> None:
    lines = (write_run(tmp_path / "run") / PREDICTIONS).read_text().splitlines()
    assert all(list(json.loads(line))[-1] == "kind" for line in lines)
