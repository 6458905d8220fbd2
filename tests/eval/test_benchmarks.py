"""Public benchmarks are read as published, in every form; a wrong row is counted with its reason and never stops a run."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.eval import published
from videorouter.eval.benchmarks.items import Subtitles
from videorouter.eval.benchmarks.lvbench import spans
from videorouter.eval.benchmarks.registry import PUBLIC, load_benchmark, load_items


def reasons(benchmark: str, folder: Path, split: str) -> dict[str, str]:
    return {row.id: row.reason for row in load_benchmark(benchmark, folder, split).wrong}


def test_video_mme(tmp_path: Path) -> None:
    first, second, third = load_items("video_mme", published.video_mme(tmp_path), "test")
    assert first.options == ("Apples.", "Candles.", "Berries.", "The three kinds are of the same number.")
    assert (first.id, first.answer, second.answer, third.group) == ("001-1", "C", "A", "long")
    assert list(first.groups) == ["duration", "domain", "sub_category", "task_type"]
    assert first.video == second.video == tmp_path / "data/yt-1.mp4"
    assert first.subtitles == Subtitles(tmp_path / "subtitle/yt-1.srt")
    assert third.video == tmp_path / "data/yt-2.mp4"
    assert third.subtitles is None


def test_wrong_rows_of_video_mme_are_counted(tmp_path: Path) -> None:
    rows = [
        published.video_mme_row(1, 1),
        published.video_mme_row(1, 1),
        published.video_mme_row(1, 2, answer="E"),
        published.video_mme_row(1, 3, options=["A. x", "B. y"]),
        published.video_mme_row(2, 1, "endless"),
        published.video_mme_row(2, 2, question=None),
        published.video_mme_row(2, 3, options=["A. x", "B. ", "C. z", None]),
    ]
    loaded = load_benchmark("video_mme", published.video_mme(tmp_path, rows), "test")
    assert [item.id for item in loaded.items] == ["001-1"]
    assert [(row.id, row.reason.split(":")[0]) for row in loaded.wrong] == [
        ("001-1", "this id occurs twice"),
        ("001-2", "the answer 'E' is none of the 4 options' letters"),
        ("001-3", "2 options"),
        ("002-1", "duration 'endless' is none of short, medium, long"),
        ("002-2", "field 'question' is empty"),
        ("002-3", "an option is empty"),
    ]


def test_mlvu_from_the_seven_files(tmp_path: Path) -> None:
    extra = [
        published.mlvu_row("plotQA", answer="Purple"),
        published.mlvu_row("plotQA", candidates=["x"] * 6),
        {"video": "x"},
        3,
    ]
    loaded = load_benchmark("mlvu", published.mlvu(tmp_path, extra), "dev")
    assert [item.group for item in loaded.items] == [
        "plotQA", "needle", "ego", "count", "order", "anomaly_reco", "topic_reasoning",
    ]  # fmt: skip
    assert all(item.answer == "B" and item.video.is_file() for item in loaded.items)
    assert [(row.id, row.reason.split(":")[0]) for row in loaded.wrong] == [
        ("plotQA-1", "the answer 'Purple' is none of the candidates"),
        ("plotQA-2", "6 options"),
        ("plotQA-3", "field 'candidates' is missing"),
        ("unknown-0", "field 'candidates' is missing"),
    ]


def test_mlvu_from_the_mirror(tmp_path: Path) -> None:
    rows = [
        published.mlvu_mirror_row(),
        published.mlvu_mirror_row("2_needle", answer="(D)"),
        published.mlvu_mirror_row(answer="E"),
    ]
    published.write_parquet(tmp_path / "data/test-00000-of-00001.parquet", rows)
    published.touch(tmp_path / "video/needle_1.mp4")
    loaded = load_benchmark("mlvu", tmp_path, "dev")
    assert [(item.id, item.question, item.answer) for item in loaded.items] == [
        ("needle-0", "What colour is the coat?", "B"),
        ("needle-1", "What colour is the coat?", "D"),
    ]
    assert loaded.items[0].options == ("Yellow", "Red", "Green", "Blue")
    assert loaded.items[0].video.is_file()
    assert [row.id for row in loaded.wrong] == ["needle-2"]


def test_both_forms_of_mlvu_ask_the_same(tmp_path: Path) -> None:
    published.write_parquet(tmp_path / "mirror/test-00000-of-00001.parquet", [published.mlvu_mirror_row()])
    mirrored = load_items("mlvu", tmp_path / "mirror", "test")[0]
    original = load_items("mlvu", published.mlvu(tmp_path / "original"), "dev")[1]
    assert (mirrored.id, mirrored.question, mirrored.options) == (original.id, original.question, original.options)


def test_longvideobench_in_both_forms(tmp_path: Path) -> None:
    folder = published.longvideobench(tmp_path / "json")
    (item,) = load_items("longvideobench", folder, "val")
    assert (item.answer, item.options, item.evidence_frames) == ("B", ("a cup", "a book", "a phone"), (240, 300))
    assert list(item.groups.values()) == ["15", "T2O", "KH-Knowledge-History", "L1-Perception"]
    assert item.subtitles == Subtitles(folder / "subtitles/v0_en.json", 120.0)
    published.write_parquet(
        tmp_path / "p/validation-00000-of-00001.parquet", [published.padded(published.longvideobench_row())]
    )
    (other,) = load_items("longvideobench", tmp_path / "p", "validation")
    assert (other.options, other.answer, other.groups, other.evidence_frames) == (
        item.options, item.answer, item.groups, item.evidence_frames,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"correct_choice": 3}, "correct_choice 3 is none of the 3 options"),
        ({"correct_choice": None}, "a field is of another kind"),
        ({"candidates": ["a"] * 6}, "6 options"),
        ({"position": [90_000]}, "position 90000 is beyond a video of 14.5 s"),
        ({"position": [-1]}, "position -1 is beyond"),
        ({"duration": 500.0}, "a duration of 500 s is outside the duration group 15"),
        ({"duration": float("nan")}, "a duration of nan s is outside"),
        ({"duration_group": 77}, "a duration of 14.5 s is outside the duration group 77"),
        ({"video_path": ""}, "field 'video_path' is empty"),
    ],
)
def test_wrong_rows_of_longvideobench_are_counted(tmp_path: Path, changed: dict[str, Any], reason: str) -> None:
    rows = [published.longvideobench_row(1), published.longvideobench_row(2, **changed)]
    loaded = load_benchmark("longvideobench", published.longvideobench(tmp_path, rows), "val")
    assert [item.id for item in loaded.items] == ["v1_0"]
    assert [row.id for row in loaded.wrong] == ["v2_0"]
    assert loaded.wrong[0].reason.startswith(reason)


def test_a_hole_among_the_options_is_not_closed(tmp_path: Path) -> None:
    rows = [published.padded(published.longvideobench_row(number)) for number in range(2)]
    rows[1] |= {"option1": "N/A"}
    published.write_parquet(tmp_path / "validation-00000-of-00001.parquet", rows)
    assert reasons("longvideobench", tmp_path, "val") == {"v1_0": 'an option follows "N/A"'}


def test_lvbench(tmp_path: Path) -> None:
    questions = [
        published.lvbench_question("0"),
        published.lvbench_question("1", question="No options"),
        published.lvbench_question("2", question="Q\n(A) x\n(C) y\n(D) z"),
        published.lvbench_question("3", time_reference="nowhere"),
    ]
    loaded = load_benchmark("lvbench", published.lvbench(tmp_path, questions), "test")
    item, without = loaded.items
    assert (item.question, item.options, item.answer) == ("What year appears?", ("1636", "1366", "1363", "1633"), "D")
    assert item.groups == {"question_type": "key information retrieval + reasoning", "type": "cartoon"}
    assert (item.evidence_spans, without.evidence_spans) == (((15.0, 19.0),), ())
    assert {row.id: row.reason.split(":")[0] for row in loaded.wrong} == {
        "1": "0 options",
        "2": "the options are lettered A C D",
    }
    assert item.video.is_file()


def test_a_damaged_line_of_lvbench_is_one_wrong_row(tmp_path: Path) -> None:
    file = published.lvbench(tmp_path) / "video_info.meta.jsonl"
    file.write_text(file.read_text() + "{oops\n")
    loaded = load_benchmark("lvbench", tmp_path, "test")
    assert (len(loaded.items), [row.id for row in loaded.wrong]) == (2, ["line 2"])


def test_time_references_are_read_in_seconds() -> None:
    assert spans("00:15-00:19, 01:02:03 - 01:02:10") == ((15.0, 19.0), (3723.0, 3730.0))
    assert spans("10:00-10:00") == ((600.0, 601.0),)
    assert spans("10:00-09:00") == spans("") == ()


def test_egoschema_asks_what_is_answered(tmp_path: Path) -> None:
    folder = published.egoschema(tmp_path)
    (item,) = load_items("egoschema", folder, "subset")
    assert (item.id, item.answer, item.options[4], len(item.options)) == ("u-2", "E", "C does 4.", 5)
    published.write_json(folder / "subset_answers.json", {"u-2": 4, "u-1": 5, "u-9": 0})
    assert set(reasons("egoschema", folder, "subset")) == {"u-1", "u-9"}


def test_questions_come_from_a_data_set_where_one_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    dataset = tmp_path / "dataset"
    published.write_parquet(dataset / "data/test-00000-of-00001.parquet", [published.video_mme_row(1, 1)])
    published.touch(tmp_path / "own/videos/yt-1.mp4")
    loaded = load_benchmark("video_mme", tmp_path / "own", "test", rows=str(dataset))
    assert loaded.items[0].video == tmp_path / "own/videos/yt-1.mp4"
    with pytest.raises(ValueError, match="none of validation, val"):
        load_benchmark("longvideobench", tmp_path, "val", rows=str(dataset))


@pytest.mark.parametrize("benchmark", PUBLIC)
def test_another_folder_is_refused_with_what_to_fetch(benchmark: str, tmp_path: Path) -> None:
    split = PUBLIC[benchmark].SPLITS[0]
    with pytest.raises(ValueError, match=r"is not an? .* folder: .*Fetch it from"):
        load_benchmark(benchmark, tmp_path, split)
    with pytest.raises(ValueError, match="no items in split 'train'"):
        load_benchmark(benchmark, tmp_path, "train")


def test_damaged_question_files_are_named(tmp_path: Path) -> None:
    (published.longvideobench(tmp_path / "a") / "lvb_val.json").write_text("[{")
    with pytest.raises(ValueError, match=r"lvb_val.json is not JSON .*fetch it again"):
        load_benchmark("longvideobench", tmp_path / "a", "val")
    (published.video_mme(tmp_path / "b") / "videomme/test-00000-of-00001.parquet").write_bytes(b"PAR1")
    with pytest.raises(ValueError, match=r"parquet is not a parquet file .*fetch it again"):
        load_benchmark("video_mme", tmp_path / "b", "test")


def test_a_file_of_wrong_rows_alone_says_the_first_reason(tmp_path: Path) -> None:
    published.write_json(tmp_path / "lvb_val.json", [json.loads("{}")])
    with pytest.raises(ValueError, match=r"1 rows are wrong, the first: field 'option0' is missing"):
        load_benchmark("longvideobench", tmp_path, "val")
