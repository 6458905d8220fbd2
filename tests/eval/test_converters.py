"""Results of other toolkits become runs of ours: rescored, what is not known left unknown, broken lines counted."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from videorouter.eval.__main__ import main
from videorouter.eval.benchmarks.items import Item
from videorouter.eval.converters.convert import ConvertConfig, convert
from videorouter.eval.run_folder import ITEMS, MANIFEST, PREDICTIONS, VIDEOS, RunFolder, item_row, read_run, write_rows
from videorouter.eval.running.printing import results_table
from videorouter.eval.statistics import paired_difference, summarise

QUESTIONS = {"What falls?": ("a cup", "a plate", "rain"), "Who sings?": ("a bird", "a cat")}
LETTER = "Answer with the option's letter from the given choices directly."


def sample(number: int, question: str, text: Any, target: str = "B", **more: Any) -> dict[str, Any]:
    options = "\n".join(f"{letter}. {option}" for letter, option in zip("ABC", QUESTIONS[question], strict=False))
    told = {"videoID": f"clip{number % 2}", "duration": "short", "question_id": "1-1"} | more
    return {
        "doc_id": number, "target": target, "filtered_resps": text, "input": f"{question}\n{options}\n{LETTER}",
        "doc_hash": "0", "token_counts": [None], "videomme_perception_score": told,
    }  # fmt: skip


SAMPLES = [
    sample(0, "What falls?", "B", score=1.0),
    sample(1, "Who sings?", "Answer: A", score=1.0),  # the toolkit errs
    sample(2, "What falls?", ["(C) rain"], target="rain", score=1.0),
    sample(3, "Who sings?", "", score=0.0),
]


def samples_file(folder: Path, rows: list[dict[str, Any]], *damaged: str) -> Path:
    file = folder / "20260101_000000_samples_videomme.jsonl"
    file.write_text("".join(line + "\n" for line in [*map(json.dumps, rows), *damaged]))
    return file


def config(folder: Path, *files: Path, **more: Any) -> ConvertConfig:
    told: dict[str, Any] = {"toolkit": "lmms_eval", "benchmark": "videomme", "model": "base", "frames": 64, "cap": 1024}
    return ConvertConfig(files=list(files), out=folder / "run", **told | more)


def own_run(folder: Path) -> Path:
    """A run on the same questions, under ids and with videos of its own."""
    (folder / "own").mkdir()
    items = [
        Item("q0", Path("/data/clip0.mp4"), "What  falls?", ("A cup", "a plate", "rain"), "B", {"duration": "short"}),
        Item("q1", Path("/data/clip1.mp4"), "Who sings?", ("a bird", "a cat"), "B", {"duration": "short"}),
    ]
    write_rows(folder / "own" / ITEMS, [item_row("videomme", item) for item in items])
    (folder / "own" / MANIFEST).write_text("{}")
    for name in (VIDEOS, PREDICTIONS):
        (folder / "own" / name).touch()
    return folder / "own"


def test_samples_of_lmms_eval_become_a_run(tmp_path: Path) -> None:
    results = tmp_path / "20260101_000000_results.json"
    results.write_text(json.dumps({"config": {"model": "internvl2"}, "lmms_eval_version": "0.7.3", "samples": [1]}))
    made = convert(config(tmp_path, samples_file(tmp_path, SAMPLES), results))
    assert (made.lines, made.predictions, made.failures, made.judged, made.disagreements) == (4, 3, 1, 3, 1)
    run = read_run(tmp_path / "run")
    assert [(p.item, p.video, p.choice, p.answer, p.correct) for p in run.predictions] == [
        ("videomme-0", "clip0", "B", "B", True),
        ("videomme-1", "clip1", "A", "B", False),
        ("videomme-2", "clip0", "C", "C", True),
    ]
    assert run.items["videomme"][0].options == ("a cup", "a plate", "rain")
    assert run.items["videomme"][0].groups == {"duration": "short"}
    assert [failure.item for failure in run.failures] == ["videomme-3"]
    assert run.manifest["told"][results.name] == {"config": {"model": "internvl2"}, "lmms_eval_version": "0.7.3"}


def test_what_is_not_known_stays_unknown(tmp_path: Path) -> None:
    convert(config(tmp_path, samples_file(tmp_path, SAMPLES)))
    predictions = read_run(tmp_path / "run").predictions
    assert all(p.tokens is None and p.budget is None and not p.seconds_by_stage for p in predictions)
    summary = summarise(predictions)
    assert summary.accuracy == pytest.approx(2 / 3)
    assert math.isnan(summary.tokens_mean)
    assert list(results_table([summary], []).columns[3].cells) == ["?"]
    with pytest.raises(AssertionError, match="tokens are not known"):
        predictions[0].fed  # noqa: B018


def test_broken_lines_are_counted_and_cost_nothing_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        *SAMPLES,
        sample(4, "Who sings?", [[0.1, True], [0.2, False]]),
        sample(5, "Who sings?", "A", target="nobody"),
        sample(6, "Who sings?", "A", videoID=""),
        sample(0, "What falls?", "C"),
        {"doc_id": 7, "target": "A", "filtered_resps": "A", "input": "Describe the video."},
    ]
    file = samples_file(tmp_path, rows, '{"doc_id": 8, "targ', "[]")
    told = ["--benchmark", "videomme", "--model", "base", "--frames", "64", "--cap", "1024"]
    assert main(["convert", "--from", "lmms_eval", str(file), *told, "--out", str(tmp_path / "run")]) == 0
    printed = capsys.readouterr().out
    assert "11 lines: 3 answers, 1 without an answer, 7 left out" in printed
    for reason in (
        "likelihoods or several answers instead of one text",
        "the right answer is none of the options",
        "its video is not named",
        "its question was answered before",
        "no options: not a multiple-choice question",
        "not JSON",
        "not a sample of lmms-eval",
    ):
        assert f"1 left out: {reason}" in printed


def test_answers_to_a_run_of_ours_are_paired_with_it(tmp_path: Path) -> None:
    rows = [sample(0, "What falls?", "B"), sample(1, "Who sings?", "B"), sample(2, "Who sings?", "A")]
    del rows[0]["videomme_perception_score"]  # many tasks do not name the video
    made = convert(config(tmp_path, samples_file(tmp_path, rows), beside=own_run(tmp_path)))
    assert made.broken == {"the run beside asks it about another video": 1}
    run, own = read_run(tmp_path / "run"), read_run(tmp_path / "own")
    assert run.items == own.items
    assert [(p.item, p.video) for p in run.predictions] == [("q0", "clip0.mp4"), ("q1", "clip1.mp4")]
    assert paired_difference(run.predictions, run.predictions).mean == 0


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"target": "A"}, "the run beside knows another right answer"),
        ({"input": "What sinks?\nA. a cup\nB. a plate"}, "no question of the run beside is worded like it"),
    ],
)
def test_answers_to_other_questions_are_not_taken_for_ours(tmp_path: Path, change: dict[str, str], reason: str) -> None:
    rows = [sample(0, "What falls?", "B"), sample(1, "Who sings?", "B") | change]
    assert convert(config(tmp_path, samples_file(tmp_path, rows), beside=own_run(tmp_path))).broken == {reason: 1}


COLUMNS = ["index", "video", "question", "candidates", "answer", "prediction", "duration", "score"]
TABLE = [
    ["0", "clip0", "What falls?", "['A. a cup', 'B. a plate']", "B", "(B) a plate", "short", "1"],
    ["1", "clip1", "Who sings?", "['a bird', 'a cat']", "a cat", "I think it is a cat.", "long", "0"],
    ["2", "clip1", "Who sings?", "['a bird', 'a cat']", "a cat", "Failed to obtain answer via API.", "long", "-1"],
    ["3", "clip1", "Who sings?", "a bird", "a cat", "a cat", "long", "1"],
]


def check_table(run: RunFolder) -> None:
    assert [(p.item, p.video, p.choice, p.answer) for p in run.predictions] == [
        ("0", "clip0", "B", "B"),
        ("1", "clip1", "B", "B"),
    ]
    assert run.items["videomme"][0].options == ("a cup", "a plate")
    assert [failure.item for failure in run.failures] == ["2"]
    assert run.manifest["lines"]["broken"] == {"the options are no list": 1}
    assert (run.manifest["lines"]["judged"], run.manifest["lines"]["disagreements"]) == (2, 1)


def test_tables_of_vlmevalkit_become_a_run(tmp_path: Path) -> None:
    file = tmp_path / "Base_Video-MME_score.tsv"
    file.write_text("".join("\t".join(row) + "\n" for row in [COLUMNS, *TABLE]))
    convert(config(tmp_path, file, toolkit="vlmevalkit"))
    check_table(read_run(tmp_path / "run"))


def test_workbooks_of_vlmevalkit_become_a_run(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in [COLUMNS, *TABLE]:
        book.active.append([int(cell) if cell.lstrip("-").isdigit() else cell for cell in row])
    book.save(tmp_path / "Base_Video-MME_score.xlsx")
    convert(config(tmp_path, tmp_path / "Base_Video-MME_score.xlsx", toolkit="vlmevalkit"))
    check_table(read_run(tmp_path / "run"))


def test_options_may_stand_in_columns_of_their_own(tmp_path: Path) -> None:
    file = tmp_path / "Base_MMBench-Video.tsv"
    file.write_text("index\tvideo\tquestion\tA\tB\tC\tanswer\tprediction\n0\tclip\tWho?\tx\ty\t\tB\tB.\n")
    convert(config(tmp_path, file, toolkit="vlmevalkit"))
    assert read_run(tmp_path / "run").items["videomme"][0].options == ("x", "y")


def test_user_errors_say_what_to_do(tmp_path: Path) -> None:
    file = samples_file(tmp_path, [sample(0, "What falls?", "B", videoID="")])
    with pytest.raises(ValueError, match=r"1 lines: its video is not named.*as --beside"):
        convert(config(tmp_path, file))
    with pytest.raises(ValueError, match=r"give a result table of VLMEvalKit"):
        convert(config(tmp_path, file, toolkit="vlmevalkit"))
    with pytest.raises(ValueError, match=r"not a file of lmms-eval: give its \*_samples_TASK.jsonl"):
        convert(config(tmp_path, own_run(tmp_path) / ITEMS))
    with pytest.raises(ValueError, match=r"has no benchmark 'mlvu': it has videomme"):
        convert(config(tmp_path, file, benchmark="mlvu", beside=tmp_path / "own"))
    assert not (tmp_path / "run").exists()
    (tmp_path / "run").mkdir()
    with pytest.raises(ValueError, match=r"exists already: choose another --out"):
        convert(config(tmp_path, file))
