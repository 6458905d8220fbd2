"""Annotation files become questions; a broken line is named and never stops the file."""

import json
from pathlib import Path

import pytest

from data_builders.sources import read_questions

ROW = {"id": "q1", "video": "a.mp4", "question": "What?", "task_type": "t", "source": "s"}


def test_our_own_lines_are_read_and_broken_ones_named(tmp_path: Path) -> None:
    path = tmp_path / "questions.jsonl"
    lines = [
        json.dumps(ROW),
        "{broken",
        json.dumps(ROW | {"id": "q2", "answer": "z", "options": ["x", "y"]}),
        "",
        json.dumps(ROW),
    ]
    path.write_text("\n".join(lines))
    questions, rejects = read_questions(path, "questions_jsonl")
    assert [question.id for question in questions] == ["q1"]
    assert [(reject.item, reject.verdict) for reject in rejects] == [
        ("questions.jsonl:2", "malformed"),
        ("questions.jsonl:3", "malformed"),
        ("q1", "duplicate"),
    ]
    assert "not among the options" in rejects[1].reason


def test_charades_lines_give_sentence_and_span(tmp_path: Path) -> None:
    path = tmp_path / "sta.txt"
    path.write_text("AB1 0.2 9.8##a person drinks.\nAB1 9.0 3.0##reversed.\nno line\nAB2 x 3##what.\n")
    questions, rejects = read_questions(path, "charades_sta")
    assert [(q.video, q.question, q.evidence) for q in questions] == [("AB1", "a person drinks.", [(0.2, 9.8)])]
    assert [reject.verdict for reject in rejects] == ["bad_span", "malformed", "malformed"]


def test_segments_give_a_question_a_clip(tmp_path: Path) -> None:
    path = tmp_path / "long.segments.json"
    path.write_text(json.dumps({"segments": [{"clip": "cat.mp4", "start": 0, "end": 3.5}, {"clip": "dog.mp4"}]}))
    questions, rejects = read_questions(path, "segments")
    assert [(q.video, q.evidence) for q in questions] == [("long", [(0, 3.5)])]
    assert [reject.item for reject in rejects] == ["long.segments.json:1"]


def test_an_unknown_source_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="charades_sta"):
        read_questions(tmp_path, "csv")


def test_real_charades_lines_convert(real_data: Path) -> None:
    questions, rejects = read_questions(real_data / "annotations/charades_sta/charades_sta_test.txt", "charades_sta")
    assert len(questions) + len(rejects) == 3720
    assert len(rejects) < 10


def test_lines_of_bytes_or_endless_spans_are_named(tmp_path: Path) -> None:
    row = json.dumps(ROW | {"evidence": [[0, 7]]})
    (tmp_path / "q.jsonl").write_bytes(
        b"\n".join([b'{"id": "\xff"}', row.replace("7", "Infinity").encode(), row.encode()])
    )
    questions, rejects = read_questions(tmp_path / "q.jsonl", "questions_jsonl")
    assert [question.evidence for question in questions] == [[(0, 7)]]
    assert [reject.item for reject in rejects] == ["q.jsonl:1", "q.jsonl:2"]
    (tmp_path / "sta.txt").write_text("AB1 0 inf##endless.\nAB1 nan 3##never.\n")
    assert [reject.verdict for reject in read_questions(tmp_path / "sta.txt", "charades_sta")[1]] == ["bad_span"] * 2


@pytest.mark.parametrize("content", ['{"segments": 5}', "[1]", "no", '{"segments": ["x", {"clip": 1}]}'])
def test_segments_of_another_shape_are_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "long.segments.json").write_text(content)
    questions, rejects = read_questions(tmp_path / "long.segments.json", "segments")
    assert not questions
    assert {reject.verdict for reject in rejects} == {"malformed"}
