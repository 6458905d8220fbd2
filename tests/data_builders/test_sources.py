"""Annotation files become questions; a broken line is named and never stops the file."""

import json
from pathlib import Path
from typing import Any

import pytest

from videorouter.data_builders.rejects import read_rejects, write_rejects
from videorouter.data_builders.sources.conversion import (
    convert,
    convert_file,
    print_conversions,
    read_questions,
    rejects_beside,
)

HEADER = "video_id,frame_count,width,height,question,answer,qid,type,a0,a1,a2,a3,a4"
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


def _written(path: Path, *lines: object) -> Path:
    """A file of lines; what is no text is written as JSON."""
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines))
    return path


def test_charades_with_lengths_is_told_by_its_first_character_and_clamped(tmp_path: Path) -> None:
    row: dict[str, Any] = {"qid": 1, "query": "person runs.", "duration": 10.5, "vid": "AB1"}
    path = _written(
        tmp_path / "sta.jsonl",
        row | {"relevant_windows": [[8, 12.0]]},
        row | {"qid": 2, "relevant_windows": [[11, 12]]},
        row | {"qid": 3, "relevant_windows": [[4, 3], [1, 2]]},
        row | {"qid": 4},
        row | {"qid": 5, "duration": None, "relevant_windows": [[1, 2]]},
        row | {"qid": 6, "duration": 10**400, "relevant_windows": [[1, 2]]},
    )
    done = convert(path, "charades_sta")
    assert [(q.video, q.evidence) for q in done.questions] == [("AB1", [(8, 10.5)]), ("AB1", [(1, 2)])]
    assert (done.rows, done.clamped, done.dropped) == (6, 1, 1)
    assert [(reject.item, reject.verdict) for reject in done.rejects] == [
        ("sta.jsonl:2", "bad_span"),
        ("sta.jsonl:4", "malformed"),
        ("sta.jsonl:5", "malformed"),
        ("sta.jsonl:6", "malformed"),
    ]
    assert "`relevant_windows` is missing" in done.rejects[1].reason


def test_nextqa_answers_are_texts_or_numbers_of_options(tmp_path: Path) -> None:
    rows = ["11,9,3,2,how many?,{},1,DC,1,2,3,4,5", "11,9,3,2,why did he,{},2,CW,a,b,c,d,e"]
    for name, answers in (("texts", ("2", "e")), ("numbers", ("1", "4"))):
        lines = [row.format(answer) for row, answer in zip(rows, answers, strict=True)]
        questions, rejects = read_questions(_written(tmp_path / f"{name}.csv", HEADER, *lines), "nextqa")
        assert [(q.answer, q.task_type) for q in questions] == [("2", "descriptive_count"), ("e", "causal_why")], name
        assert not rejects


def test_broken_csv_rows_are_named_and_spoil_no_other(tmp_path: Path) -> None:
    path = _written(
        tmp_path / "val.csv",
        HEADER,
        '11,9,3,2,"an open quote,b,1,CW,a,b,c,d,e',
        "11,9,3,2,short,b,2,CW",
        "11,9,3,2,,b,3,CW,a,b,c,d,e",
        "11,9,3,2,no option,z,4,CW,a,b,c,d,e",
        "11,9,3,2,what kind,b,5,XX,a,b,c,d,e",
        '11,9,3,2,"good, at last",b,6,CW,a,b,c,d,e',
    )
    questions, rejects = read_questions(path, "nextqa")
    assert [(q.id, q.question) for q in questions] == [("nextqa-11-6", "good, at last")]
    reasons = {reject.item: reject.reason for reject in rejects}
    assert list(reasons) == [f"val.csv:{line}" for line in range(2, 7)]
    for line, said in ((3, "8 fields where"), (4, "`question` is empty"), (5, "'z', none of"), (6, "'XX'")):
        assert said in reasons[f"val.csv:{line}"]


def test_a_row_that_is_not_utf_8_is_put_aside_in_every_format(tmp_path: Path) -> None:
    """As the rows of a file that was saved as Latin-1: a question must not be learned with signs in place of letters."""
    rows = {
        "nextqa": ("val.csv", [HEADER, "11,9,3,2,why,b,1,CW,a,b,c,d,e", "11,9,3,2,caf\u00e9,b,2,CW,a,b,c,d,e"]),
        "charades_sta": ("sta.txt", ["AB1 0.2 9.8##a person drinks.", "AB1 0.2 9.8##in a caf\u00e9."]),
        "questions_jsonl": ("q.jsonl", [_own("good"), _own("caf\u00e9")]),
    }
    for source, (name, lines) in rows.items():
        path = tmp_path / name
        path.write_bytes("\n".join(lines).encode("latin-1"))
        questions, rejects = read_questions(path, source)
        assert len(questions) == 1, source
        assert [(reject.item, reject.verdict) for reject in rejects] == [(f"{name}:{len(lines)}", "malformed")]
        assert "UTF-8" in rejects[0].reason or "utf-8" in rejects[0].reason
        write_rejects(tmp_path / "rejects.jsonl", rejects)


def _own(question: str) -> str:
    row = {"id": question[:3], "video": "a.mp4", "question": question, "task_type": "t", "source": "s"}
    return json.dumps(row, ensure_ascii=False)


def test_nextgqa_joins_spans_by_video_and_question(tmp_path: Path) -> None:
    lines = [f"{video},9,3,2,why,a,{qid},CW,a,b,c,d,e" for video, qid in ((11, 0), (11, 1), (11, 2), (12, 0))]
    path = _written(tmp_path / "val.csv", HEADER, *lines)
    assert [q.evidence for q in read_questions(path, "nextgqa")[0]] == [None] * 4
    nan = float("nan")
    located = {"0": [[-0.1, 2], [30, 34.5]], "2": [[nan, 3]]}
    _written(tmp_path / "gsub_val.json", {"11": {"duration": 34, "location": located}})
    done = convert(path, "nextgqa")
    assert [(q.id, q.evidence) for q in done.questions] == [("nextgqa-11-0", [(0, 2), (30, 34)])]
    assert done.clamped == 2
    assert [(reject.item, reject.verdict) for reject in done.rejects] == [
        ("val.csv:3", "malformed"),
        ("val.csv:4", "bad_span"),
        ("val.csv:5", "malformed"),
    ]
    assert "`1` is missing" in done.rejects[0].reason


def test_qvhighlights_without_windows_has_no_evidence(tmp_path: Path) -> None:
    row = {"qid": 7, "query": "A man cooks.", "duration": 150, "vid": "NUsG9BgSes0_210.0_360.0"}
    path = _written(tmp_path / "q.jsonl", row, row | {"qid": 8, "relevant_windows": [[0, 16], [140, 152]]}, [1])
    done = convert(path, "qvhighlights")
    assert [q.evidence for q in done.questions] == [None, [(0, 16), (140, 150)]]
    assert (done.clamped, done.rejects[0].item) == (1, "q.jsonl:3")
    assert done.questions[0].licence == "CC-BY-NC-SA-4.0"


def test_activitynet_answers_are_joined_by_question(tmp_path: Path) -> None:
    asked = [{"video_name": "x1", "question": "is it", "question_id": f"v_x1_{n}"} for n in range(3)]
    path = _written(tmp_path / "val_q.json", [*asked, 5])
    assert "answers X_a.json" in read_questions(path, "activitynet_qa")[1][0].reason
    answers = [
        {"answer": "yes", "type": 3, "question_id": "v_x1_0"},
        {"answer": "yes", "type": 9, "question_id": "v_x1_1"},
    ]
    _written(tmp_path / "val_a.json", answers)
    questions, rejects = read_questions(path, "activitynet_qa")
    assert [(q.video, q.answer, q.task_type) for q in questions] == [("v_x1", "yes", "yes_no")]
    assert [reject.item for reject in rejects] == ["val_q.json:2", "val_q.json:3", "val_q.json:4"]
    assert "no answer to v_x1_2" in rejects[1].reason


def test_activitynet_captions_give_a_question_a_sentence(tmp_path: Path) -> None:
    path = _written(
        tmp_path / "val.json",
        {
            "v_1": {"duration": 9, "timestamps": [[0, 9.5], [5, 5], [1, 2]], "sentences": [" One.", "Two.", 3]},
            "v_2": {"duration": 9, "timestamps": [[0, 1]], "sentences": []},
            "v_3": None,
        },
    )
    done = convert(path, "activitynet_captions")
    assert [(q.video, q.question, q.evidence) for q in done.questions] == [("v_1", "One.", [(0, 9)])]
    assert (done.rows, done.clamped) == (3, 1)
    assert [reject.item for reject in done.rejects] == [
        "val.json:v_1:1",
        "val.json:v_1:2",
        "val.json:v_2",
        "val.json:v_3",
    ]


def _llava(*said: str, **more: object) -> dict[str, Any]:
    turns = [{"from": ("human", "gpt")[n % 2], "value": text} for n, text in enumerate(said)]
    return {"id": "v1", "video": "x/v1.mp4", "data_source": "0_30_s_academic_v0_1", "conversations": turns} | more


@pytest.mark.parametrize("form", ["list", "lines"])
def test_llava_video_gives_a_question_a_pair_of_turns(tmp_path: Path, form: str) -> None:
    rows = [
        _llava(
            "<image>\nWhat is on the arm?\nA. A tattoo\nB. A watch\nPlease respond with only the letter of the correct answer.",
            "B.",
            "Which colour is it?\nOptions:\nA. Black\nB. Silver\nC. Red\nPlease provide your answer by stating the letter "
            "followed by the full option.",
            "C. Red.",
        ),
        _llava("<video>\nWhy does he sit?", "He is tired."),
        _llava("Which?\n(A) one\n(B) two", "neither", "And then?"),
        {"id": "v2"},
    ]
    path = _written(tmp_path / "oe.json", *([rows] if form == "list" else rows))
    done = convert(path, "llava_video")
    assert [(q.question, q.options, q.answer, q.task_type) for q in done.questions] == [
        ("What is on the arm?", ["A tattoo", "A watch"], "A watch", "multiple_choice"),
        ("Which colour is it?", ["Black", "Silver", "Red"], "Red", "multiple_choice"),
        ("Why does he sit?", None, "He is tired.", "open_ended"),
    ]
    assert {(q.video, q.source) for q in done.questions} == {("x/v1.mp4", "llava_video")}
    assert [reject.item for reject in done.rejects] == [
        "oe.json:3, turns 1-2",
        "oe.json:3, turns 3-4",
        "oe.json:4",
    ]
    assert "chooses none of the options" in done.rejects[0].reason


def test_llava_video_captions_are_told_by_their_file(tmp_path: Path) -> None:
    row = _llava("<image>\nDescribe it.", "A man A. walks.\nB. He sits.")
    for name, task in (("0_30_s_academic_v0_1_cap_processed.json", "caption"), ("escape.json", "open_ended")):
        questions, _ = read_questions(_written(tmp_path / name, [row]), "llava_video")
        assert [question.task_type for question in questions] == [task]


def test_questions_written_by_hand_come_with_and_without_spans(tmp_path: Path) -> None:
    pairs = {"a.mp4": {"questions": ["Why?"], "charades_sta": [[0.2, 9, "He walks."]]}, "b.mp4": {}, "_remark": "ours"}
    questions, rejects = read_questions(_written(tmp_path / "pairs.json", pairs), "video_pairs")
    assert [(q.video, q.question, q.evidence) for q in questions] == [
        ("a.mp4", "Why?", None),
        ("a.mp4", "He walks.", [(0.2, 9)]),
    ]
    assert [reject.item for reject in rejects] == ["pairs.json:b.mp4"]


@pytest.mark.parametrize(
    "source", ["llava_video", "nextqa", "nextgqa", "qvhighlights", "activitynet_qa", "video_pairs"]
)
@pytest.mark.parametrize(
    "content", ["", "{", "5", "[[]]", '{"a": 5}', "\x00\ufffd", "a,b\n1,2", '{"\\ud800": ["\\ud800"]}']
)
def test_no_file_of_another_kind_is_a_crash(tmp_path: Path, source: str, content: str) -> None:
    for name in ("x_q.json", "x_a.json"):
        (tmp_path / name).write_text(content)
    questions, rejects = read_questions(tmp_path / "x_q.json", source)
    assert not questions
    assert {reject.verdict for reject in rejects} <= {"malformed"}
    write_rejects(tmp_path / "rejects.jsonl", rejects)


def test_a_converted_file_keeps_its_rejects_beside_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sta = _written(tmp_path / "sta.txt", "AB1 0.2 9.8##a person drinks.", "AB1 9.0 3.0##reversed.")
    done = convert_file(sta, "charades_sta", tmp_path / "out" / "q.jsonl")
    assert read_questions(tmp_path / "out" / "q.jsonl", "questions_jsonl") == (done.questions, [])
    assert list(read_rejects(rejects_beside(tmp_path / "out" / "q.jsonl"))) == done.rejects
    print_conversions([done])
    said = capsys.readouterr().out
    assert "1 bad_span" in said
    assert "sta.txt:2: " in said
    convert_file(_written(tmp_path / "sta.txt", "AB1 0 9##b."), "charades_sta", tmp_path / "out" / "q.jsonl")
    assert not rejects_beside(tmp_path / "out" / "q.jsonl").exists()
    with pytest.raises(ValueError, match="annotation file itself"):
        convert_file(sta, "charades_sta", sta)
