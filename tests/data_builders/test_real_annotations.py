"""Every real annotation file converts, with the counts its rows have."""

from pathlib import Path

import pytest
from rich.console import Console

from videorouter.data_builders.sources.conversion import (
    Conversion,
    convert,
    convert_file,
    print_conversions,
    read_questions,
)

FILES = {  # file: source, rows, questions, clamped spans, rejects
    "activitynet_captions/val.json": ("activitynet_captions", 4917, 17505, 134, 0),
    "activitynet_qa/val_q.json": ("activitynet_qa", 18000, 18000, 0, 0),
    "charades_sta/charades_sta_test.txt": ("charades_sta", 3720, 3720, 0, 0),
    "charades_sta/charades_sta_test_tvr_format.jsonl": ("charades_sta", 3720, 3720, 0, 0),
    "charades_sta/charades_sta_train.txt": ("charades_sta", 12408, 12404, 0, 4),
    "charades_sta/charades_sta_train_tvr_format.jsonl": ("charades_sta", 12404, 12404, 0, 0),
    "nextgqa/test.csv": ("nextgqa", 5553, 5553, 36, 0),
    "nextgqa/val.csv": ("nextgqa", 3358, 3358, 3, 0),
    "nextqa/val.csv": ("nextqa", 4996, 4996, 0, 0),
    "qvhighlights/highlight_test_release.jsonl": ("qvhighlights", 1542, 1542, 0, 0),
    "qvhighlights/highlight_val_release.jsonl": ("qvhighlights", 1550, 1550, 0, 0),
    "video_question_pairs.json": ("video_pairs", 5, 6, 0, 0),
}
BESIDE = {  # read together with a file above, or about videos alone
    "activitynet_qa/val_a.json",
    "nextgqa/frame2time_test.json",
    "nextgqa/frame2time_val.json",
    "nextgqa/gsub_test.json",
    "nextgqa/gsub_val.json",
    "nextgqa/map_vid_vidorID.json",
    "nextgqa/upbd_test.json",
    "nextgqa/upbd_val.json",
}
NO_EVIDENCE = {"activitynet_qa", "nextqa"}


@pytest.fixture(scope="module")
def converted(real_data: Path) -> dict[str, Conversion]:
    """All of them."""
    return {name: convert(real_data / "annotations" / name, row[0]) for name, row in FILES.items()}


def test_no_annotation_file_is_forgotten(real_data: Path) -> None:
    folder = real_data / "annotations"
    there = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.suffix in {".json", ".jsonl", ".csv"}}
    there |= {str(path.relative_to(folder)) for path in folder.rglob("*.txt")}
    assert there == FILES.keys() | BESIDE


def test_every_file_converts_with_its_counts(converted: dict[str, Conversion]) -> None:
    print_conversions(list(converted.values()), Console(width=180))
    counts = {name: (c.source, c.rows, len(c.questions), c.clamped, len(c.rejects)) for name, c in converted.items()}
    assert counts == FILES
    assert all(done.dropped == 0 for done in converted.values())
    rejects = converted["charades_sta/charades_sta_train.txt"].rejects
    assert {reject.verdict for reject in rejects} == {"bad_span"}
    assert rejects[0].item == "charades_sta_train.txt:8252"


def test_questions_carry_evidence_and_licence_where_the_source_has_them(converted: dict[str, Conversion]) -> None:
    for name, done in converted.items():
        if name == "video_question_pairs.json":
            continue
        assert all(question.licence and question.source == done.source for question in done.questions), name
        without = sum(question.evidence is None for question in done.questions)
        open_file = done.source in NO_EVIDENCE or name.startswith("qvhighlights/highlight_test")
        assert without == (len(done.questions) if open_file else 0), name


def test_both_forms_of_charades_say_the_same(converted: dict[str, Conversion]) -> None:
    lines, objects = (
        converted[f"charades_sta/charades_sta_test{end}"].questions for end in (".txt", "_tvr_format.jsonl")
    )
    assert [(q.video, q.question) for q in lines] == [(q.video, q.question) for q in objects]


def test_a_converted_file_reads_back_the_same(real_data: Path, tmp_path: Path) -> None:
    done = convert_file(real_data / "annotations/nextgqa/val.csv", "nextgqa", tmp_path / "q.jsonl", split="val")
    questions, rejects = read_questions(tmp_path / "q.jsonl", "questions_jsonl")
    assert questions == done.questions
    assert {question.split for question in questions} == {"val"}
    assert not rejects
