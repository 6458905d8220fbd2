"""A report is made from the run folder alone: the same tables every time, nothing unequal compared, one page without a network."""

import csv
import json
import re
import shutil
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.eval.runs import CAPS, write_run, write_videos
from videorouter.eval.__main__ import main
from videorouter.eval.report.figures import all_figures
from videorouter.eval.report.files import escaped
from videorouter.eval.report.inspector import chosen_questions
from videorouter.eval.report.joined_runs import Contender, join_runs
from videorouter.eval.report.notes import facts, missing_facts, notes
from videorouter.eval.report.page import page
from videorouter.eval.report.scatter import pareto_front
from videorouter.eval.run_folder import PREDICTIONS, VIDEOS, read_rows, write_rows
from videorouter.eval.statistics import macro_average, paired_difference, summarise

TABLES = ("tables.md", "tables.tex", "tables.csv")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two real videos, six that have no file."""
    folder = tmp_path_factory.mktemp("runs")
    return write_run(folder / "run", videos=write_videos(folder / "videos", 2), unseen=6, questions=3)


@pytest.fixture(scope="module")
def report(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("report") / "report"
    assert main(["report", str(run), "--out", str(out)]) == 0
    return out


def rows(report: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((report / "tables.csv").read_text().splitlines()))


def data_of(html: str) -> dict:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)
    assert found
    return json.loads(found[1])


def fed_more(run: Path, out: Path, system: str) -> Path:
    """The run, with one token more for every thirty that the system was fed."""
    out.mkdir()
    for file in run.iterdir():
        (out / file.name).write_bytes(file.read_bytes())
    made = [json.loads(line) for line in (run / PREDICTIONS).read_text().splitlines()]
    changed = (row | {"tokens": row["tokens"] * 31 // 30} if row["system"] == system else row for row in made)
    (out / PREDICTIONS).write_text("".join(json.dumps(row) + "\n" for row in changed))
    return out


def test_every_row_says_what_the_answers_say(run: Path, report: Path) -> None:
    joined = join_runs([run])
    written = {(int(row["cap"]), row["system"], row["dimension"], row["group"]): row for row in rows(report)}
    for cell, made in joined.answers.items():
        base = made[Contender("tiny", "videorouter")]
        for contender, answers in made.items():
            row, found = written[cell.cap, contender.system, "all", "all"], summarise(answers)
            assert float(row["accuracy"]) == pytest.approx(found.accuracy, abs=1e-6)
            assert (float(row["low"]), float(row["high"])) == pytest.approx((found.low, found.high), abs=1e-6)
            if contender.system == "frame_budget":
                assert float(row["difference"]) == pytest.approx(paired_difference(answers, base).mean, abs=1e-6)
            short = [
                answer.correct for answer in answers if joined.items["mlvu"][answer.item].groups["length"] == "short"
            ]
            by_length = written[cell.cap, contender.system, "length", "short"]
            assert float(by_length["accuracy"]) == pytest.approx(sum(short) / len(short), abs=1e-6)


def test_failures_are_counted_where_they_happened(report: Path) -> None:
    failed = {(int(r["cap"]), r["system"]): r["failed"] for r in rows(report) if r["dimension"] == "all"}
    assert {key for key, count in failed.items() if count != "0"} == {(CAPS[1], "uniform_pooling")}


def test_references_are_listed_separately(report: Path) -> None:
    assert {r["system"] for r in rows(report) if r["apart"] == "true"} == {"dense", "oracle"}


def test_mlvu_has_both_averages_and_they_are_what_they_say(run: Path, report: Path) -> None:
    joined = join_runs([run])
    answers = joined.answers[next(iter(joined.answers))][Contender("tiny", "videorouter")]
    uneven = [answer for number, answer in enumerate(answers) if answer.group != "needle" or number % 2]
    groups: dict[str, list[bool]] = {}
    for answer in uneven:
        groups.setdefault(answer.group, []).append(answer.correct)
    found = macro_average(uneven)
    assert found.mean == pytest.approx(sum(sum(own) / len(own) for own in groups.values()) / len(groups))
    assert found.low <= found.mean <= found.high
    assert {"macro average, %", "micro average, %"} <= {
        head.strip() for head in (report / "tables.md").read_text().split("|")
    }


def test_tables_are_the_same_bytes_whatever_order_the_answers_are_in(run: Path, report: Path, tmp_path: Path) -> None:
    shuffled = fed_more(run, tmp_path / "run", "none of them")
    lines = (shuffled / PREDICTIONS).read_text().splitlines(keepends=True)
    Random(1).shuffle(lines)
    (shuffled / PREDICTIONS).write_text("".join(lines))
    assert main(["report", str(shuffled), "--out", str(tmp_path / "report"), "--questions", "0"]) == 0
    for name in TABLES:
        assert (tmp_path / "report" / name).read_bytes() == (report / name).read_bytes()
        assert not re.search(r"20\d\d-\d\d|\d\d:\d\d", (report / name).read_text())


def test_unequal_budgets_are_refused_unless_mixing_is_asked_for(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unequal = fed_more(run, tmp_path / "run", "vidcom2")
    assert main(["report", str(unequal), "--out", str(tmp_path / "report")]) == 1
    said = capsys.readouterr().err
    assert "mlvu at 32 frames and cap 512: systems compared at unequal budgets" in said
    assert "--mix-budgets" in said
    assert not (tmp_path / "report").exists()
    assert main(["report", str(unequal), "--out", str(tmp_path / "report"), "--mix-budgets", "--questions", "1"]) == 0
    assert "mlvu across budgets" in (tmp_path / "report" / "tables.md").read_text()
    assert {
        r["system"] for r in rows(tmp_path / "report") if r["equal_tokens"] == "false" and r["apart"] == "false"
    } == {"vidcom2"}
    assert "are no comparison at equal cost" in (tmp_path / "report" / "index.html").read_text()


def test_a_system_fed_other_tokens_may_be_set_apart(run: Path, tmp_path: Path) -> None:
    unequal = fed_more(run, tmp_path / "run", "vidcom2")
    assert (
        main(["report", str(unequal), "--out", str(tmp_path / "report"), "--apart", "vidcom2", "--questions", "0"]) == 0
    )


def test_no_table_across_budgets_by_itself(report: Path) -> None:
    assert "across" not in (report / "tables.md").read_text() + (report / "tables.tex").read_text()
    assert (report / "tables.md").read_text().count("## mlvu, ") == len(CAPS)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["{run}", "--reference", "fca"], "there is no 'fca' to compare with; choose --reference among"),
        (["{run}", "{run}"], "again in"),
        (["{run}/nothing"], "give the folder of a finished `videorouter eval run`"),
        (["{run}", "--questions", "-1"], "give 0 or more"),
    ],
)
def test_what_cannot_be_reported_is_said_in_a_line(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    given_ = [word.format(run=run) for word in arguments]
    assert main(["report", *given_, "--out", str(tmp_path / "report")]) == 1
    assert said in capsys.readouterr().err


def test_runs_of_two_models_are_joined_and_compared_within_each(run: Path, tmp_path: Path) -> None:
    other = fed_more(run, tmp_path / "other", "none of them")
    (other / PREDICTIONS).write_text((other / PREDICTIONS).read_text().replace('"model": "tiny"', '"model": "large"'))
    joined = join_runs([run, other])
    figures = all_figures(joined, "videorouter")
    assert {joined.label(row.contender) for row in figures[0].rows} >= {"vidcom2 on tiny", "vidcom2 on large"}
    alone = {row.contender.system: row.difference for row in all_figures(join_runs([run]), "videorouter")[0].rows}
    assert all(row.difference == alone[row.contender.system] for row in figures[0].rows)
    assert any("2 runs are joined" in note for note in notes(figures, joined, mix_budgets=False))


def test_questions_asked_without_their_subtitles_are_told(run: Path, tmp_path: Path) -> None:
    told = "Subtitles of 1 video could not be read"
    assert not any(
        told in note
        for note in notes(all_figures(join_runs([run]), "videorouter"), join_runs([run]), mix_budgets=False)
    )
    damaged = shutil.copytree(run, tmp_path / "damaged")
    rows = read_rows(damaged / VIDEOS)
    write_rows(damaged / VIDEOS, [{**rows[0], "unread_subtitles": "a.srt holds no subtitle"}, *rows[1:]])
    joined = join_runs([damaged])
    assert any(told in note for note in notes(all_figures(joined, "videorouter"), joined, mix_budgets=False))


def test_the_page_asks_nothing_of_a_network(report: Path) -> None:
    html = (report / "index.html").read_text()
    assert not re.search(r"https?://|@import|url\(|<link|\ssrc=(?!\")", html.replace("data:image", ""))
    assert len(html.encode()) < 5_000_000
    assert [
        element
        for element in re.findall(r"<svg[^>]*>", html)
        if "aria-label" not in element and "aria-hidden" not in element
    ] == []


def test_what_people_wrote_is_no_markup(report: Path) -> None:
    html = (report / "index.html").read_text()
    assert "<the>" not in html
    assert "plot &amp; order" in html
    assert any("<the> door" in option for q in data_of(html)["questions"] for _, option in q["options"])


def test_questions_are_chosen_from_every_group_and_always_the_same(run: Path) -> None:
    chosen = chosen_questions(join_runs([run]), 6)
    assert [item.id for _, item in chosen] == [item.id for _, item in chosen_questions(join_runs([run]), 6)]
    assert sorted(item.group for _, item in chosen) == [
        "counting",
        "counting",
        "needle",
        "needle",
        "plot & order",
        "plot & order",
    ]


def test_every_question_shows_its_video_where_it_is_here(run: Path, report: Path) -> None:
    data = data_of((report / "index.html").read_text())
    assert len(data["questions"]) == 24
    for question in data["questions"]:
        here = question["video"].startswith("seen-")
        assert question["strip"] in data["pictures"] if here else question["why"] == "video not here"
        assert question["evidence"]
        assert len(question["answers"]) == 14
    assert len(data["pictures"]) == 2
    assert all(
        len(strip) == 12 and strip[0][1].startswith("data:image/jpeg;base64,") for strip in data["pictures"].values()
    )


def test_thumbnails_that_do_not_fit_are_left_out_and_counted(run: Path) -> None:
    joined = join_runs([run])
    figures, questions = all_figures(joined, "videorouter"), chosen_questions(joined, 24)
    whole = page(figures, joined, questions, "videorouter")
    one_strip = max(sum(len(picture) for _, picture in strip) for strip in data_of(whole)["pictures"].values())
    tight = page(figures, joined, questions, "videorouter", limit=len(whole.encode()) - one_strip // 2 + 2_000)
    assert len(tight) < len(whole)
    assert "12 thumbnails were left out to keep the page below" in tight
    with pytest.raises(ValueError, match="show fewer --questions"):
        page(figures, joined, questions, "videorouter", limit=10_000)


@given(st.lists(st.tuples(st.integers(0, 20).map(float), st.integers(0, 10).map(float)), max_size=30))
def test_the_front_is_exactly_what_no_other_point_beats(points: list[tuple[float, float]]) -> None:
    def beaten(point: tuple[float, float]) -> bool:
        return any(other != point and other[0] <= point[0] and other[1] >= point[1] for other in points)

    front = pareto_front(points)
    assert sorted(front) == [number for number, point in enumerate(points) if not beaten(point)]
    assert [points[number] for number in front] == sorted(points[number] for number in front)


def test_only_what_a_real_system_reaches_is_on_a_front(report: Path) -> None:
    ringed = re.findall(r"<title>([^:]*):[^<]*on the Pareto front", (report / "index.html").read_text())
    assert ringed
    assert not [label for label in ringed if "oracle" in label]


def test_the_manifest_is_told_whole_and_what_it_lacks_is_said() -> None:
    manifest = {"machine": {"gpu": None, "cores": 2}, "subtitles": False, "models": {}, "prompt_ids": ["a@1", "b@2"]}
    assert dict(facts(manifest)) == {
        "machine.gpu": "none", "machine.cores": "2", "subtitles": "no", "models": "none", "prompt_ids": "a@1, b@2",
    }  # fmt: skip
    assert set(missing_facts(manifest)) == {"versions", "seeds", "frames", "sampler", "decoder", "dtype", "scoring"}


def test_latex_prints_names_as_they_are() -> None:
    assert escaped("a_b & 5 % {x} \\ ~") == r"a\_b \& 5 \% \{x\} \textbackslash{} \textasciitilde{}"
