"""Annotation files as they are published and saved: all of their rows are read, or the file is refused by name."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from videorouter.data_builders.building.plan import list_videos
from videorouter.data_builders.rejects import read_rejects, write_rejects
from videorouter.data_builders.sources.conversion import convert
from videorouter.data_builders.sources.option_text import written_options
from videorouter.data_builders.videos import FrameConfig, VideoFolder

NEXTQA = ["video", "frame_count", "width", "height", "question", "answer", "qid", "type", "a0", "a1", "a2", "a3", "a4"]
KINDS = ("CW", "CH", "TN", "TC", "TP", "DO", "DL", "DC")
AWKWARD = ('says "go, now"', "first line\nsecond, line", "a, b", '"', "it's", "\u2028", "caf\u00e9")


def _published(count: int, header: list[str] = NEXTQA, as_text: bool = False) -> str:
    """Rows as NExT-QA publishes them: eight a video, every eighth a count whose options are digits, awkward texts among them."""
    out = io.StringIO(newline="")
    rows = csv.writer(out)
    rows.writerow(header)
    for number in range(count):
        kind, right = KINDS[number % 8], number % 5
        extra = AWKWARD[number % len(AWKWARD)]
        options = [f"option {place} {extra}" for place in range(5)]
        if kind == "DC":
            options = ["2", "0", "4", "1", "3"]
        answer = options[right] if as_text else right
        rows.writerow([4010069381 + number // 8, 369, 640, 480, f"why {extra}?", answer, number % 8, kind, *options])
    return out.getvalue()


@pytest.mark.parametrize("count", [4996, 8564])
@pytest.mark.parametrize("ends", ["\r\n", "\n"])
def test_nextqa_is_read_as_its_own_repository_has_it(count: int, ends: str, tmp_path: Path) -> None:
    path = tmp_path / "val.csv"
    path.write_bytes(_published(count).replace("\r\n", ends).encode("utf-8-sig"))
    done = convert(path, "nextqa")
    assert (done.rows, len(done.questions), done.rejects) == (count, count, [])
    assert done.questions[0].video == "4010069381"
    for number, question in enumerate(done.questions):
        assert question.options is not None
        assert question.answer == question.options[number % 5]
    assert {question.answer for question in done.questions[7::40]} == {"4"}  # option 2 of a count, which is no 2


def test_both_headers_come_with_both_forms_of_answers(tmp_path: Path) -> None:
    answers = []
    for header in (NEXTQA, ["video_id", *NEXTQA[1:]]):
        for as_text in (False, True):
            (tmp_path / "val.csv").write_text(_published(400, header, as_text), newline="")
            done = convert(tmp_path / "val.csv", "nextqa")
            assert not done.rejects
            answers.append([(question.id, question.answer) for question in done.questions])
    assert answers == [answers[0]] * 4


def test_where_no_answer_tells_the_header_does(tmp_path: Path) -> None:
    """All options are digits, so that any digit is an option's text and a number of one."""
    for header, answer in (("video", "4"), ("video_id", "2")):
        line = "11,9,3,2,how many?,2,1,DC,2,0,4,1,3"
        (tmp_path / "val.csv").write_text(",".join([header, *NEXTQA[1:]]) + "\n" + line)
        assert [question.answer for question in convert(tmp_path / "val.csv", "nextqa").questions] == [answer]


def test_an_option_that_a_published_row_repeats_is_kept_once(tmp_path: Path) -> None:
    rows = ["11,9,3,2,which?,1,1,DO,scarf,cap,turban,Scarf,bag", "11,9,3,2,how?,4,2,CH,sad,calm,glad,happy,happy"]
    (tmp_path / "val.csv").write_text("\n".join([",".join(NEXTQA), *rows]))
    done = convert(tmp_path / "val.csv", "nextqa")
    assert [question.options for question in done.questions] == [
        ["scarf", "cap", "turban", "bag"],
        ["sad", "calm", "glad", "happy"],
    ]
    assert [question.answer for question in done.questions] == ["cap", "happy"]
    assert (done.merged, done.rejects) == (2, [])


def test_a_header_without_a_video_is_named(tmp_path: Path) -> None:
    (tmp_path / "val.csv").write_text(",".join(["name", *NEXTQA[1:]]) + "\n11,9,3,2,why?,0,1,DC,a,b,c,d,e\n")
    assert "video_id or video" in convert(tmp_path / "val.csv", "nextqa").rejects[0].reason


OWN = {"id": "q", "video": "a.mp4", "question": "What?", "task_type": "t", "source": "s"}
LLAVA = {
    "id": "v1",
    "video": "v1.mp4",
    "data_source": "x",
    "conversations": [{"from": "human", "value": "Why?"}, {"from": "gpt", "value": "So."}],
}
MOMENT = {"qid": 1, "query": "He runs.", "duration": 9, "vid": "AB1", "relevant_windows": [[0, 2]]}
DESCRIBED = {"duration": 9, "timestamps": [[0, 9]], "sentences": ["So."]}
FORMS: dict[str, tuple[str, str, str]] = {  # a file's name and content, by the source's
    "jsonl": ("questions_jsonl", "q.jsonl", json.dumps(OWN)),
    "list": ("llava_video", "q.json", json.dumps([LLAVA])),
    "list in lines": ("llava_video", "q.jsonl", json.dumps(LLAVA)),
    "csv": ("nextqa", "val.csv", ",".join(NEXTQA) + "\n11,9,3,2,why?,0,1,CW,a,b,c,d,e\n"),
    "text": ("charades_sta", "sta.txt", "AB1 0.2 9.8##a person drinks.\n"),
    "text in lines": ("charades_sta", "sta.jsonl", json.dumps(MOMENT)),
    "segments": ("segments", "a.segments.json", json.dumps({"segments": [{"clip": "c", "start": 0, "end": 3}]})),
    "captions": ("activitynet_captions", "val.json", json.dumps({"v": DESCRIBED})),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_a_byte_order_mark_changes_nothing(form: str, tmp_path: Path) -> None:
    source, name, content = FORMS[form]
    read = []
    for encoding in ("utf-8", "utf-8-sig"):
        (tmp_path / name).write_bytes(content.encode(encoding))
        done = convert(tmp_path / name, source)
        assert not done.rejects
        read.append(done.questions)
    assert read[0] == read[1] != []


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("form", FORMS)
def test_utf_16_is_refused_by_name(form: str, encoding: str, tmp_path: Path) -> None:
    source, name, content = FORMS[form]
    (tmp_path / name).write_bytes(content.encode(encoding))
    done = convert(tmp_path / name, source)
    assert not done.questions
    assert len(done.rejects) == 1
    assert "save it as UTF-8" in done.rejects[0].reason


def test_lists_and_maps_of_videos_may_begin_with_a_mark(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_bytes(
        "caf\u00e9.mp4\r\n\r\n".encode("utf-8-sig") + b'{"video": "b.mp4", "split": "val"}\n'
    )
    assert list_videos(tmp_path / "list.txt", tmp_path) == ({"caf\u00e9.mp4": "train", "b.mp4": "val"}, [])
    (tmp_path / "list.txt").write_bytes("a.mp4\n".encode("utf-16"))
    with pytest.raises(ValueError, match="UTF-16 text: save it as UTF-8"):
        list_videos(tmp_path / "list.txt", tmp_path)
    (tmp_path / "a.mp4").write_bytes(b"x")
    (tmp_path / "map.json").write_bytes(json.dumps({"b": "a.mp4"}).encode("utf-8-sig"))
    folder = VideoFolder(FrameConfig(tmp_path, video_map=tmp_path / "map.json"))
    assert folder.find("b") == tmp_path / "a.mp4"
    folder.close()


def _row(number: int, question: str = "why?") -> str:
    return f"{number},9,3,2,{question},b,1,CW,a,b,c,d,e"


@pytest.mark.parametrize(
    ("lines", "kept"),
    [
        pytest.param([_row(1), _row(2, '"one\n\ntwo, ""three"""'), _row(3)], [1, 2, 3], id="a field of several lines"),
        pytest.param([_row(1, '"open'), _row(2), _row(3, '"x, y"')], [2, 3], id="an open quote before whole rows"),
        pytest.param([_row(1, '"open'), _row(2, '"x, y"'), _row(3)], [2, 3], id="and before a quoted field"),
        pytest.param([_row(1, '"open'), _row(2, '"one\ntwo"'), _row(3)], [2, 3], id="and before a field of lines"),
        pytest.param([_row(1), _row(2), _row(3, '"open')], [1, 2], id="at the end"),
        pytest.param([_row(1, '"open'), *["text"] * 300, _row(2)], [2], id="before much text"),
    ],
)  # fmt: skip
def test_fields_go_over_lines_and_an_open_quote_spoils_its_own_row(
    lines: list[str], kept: list[int], tmp_path: Path
) -> None:
    (tmp_path / "val.csv").write_text("\n".join([",".join(["video_id", *NEXTQA[1:]]), *lines]), newline="")
    done = convert(tmp_path / "val.csv", "nextqa")
    assert [question.id for question in done.questions] == [f"nextqa-{number}-1" for number in kept]
    broken = [reject.item for reject in done.rejects if "quote is left open" in reject.reason]
    assert len(broken) == (0 if kept == [1, 2, 3] else 1)


FORMS_OF_OPTIONS: dict[str, Callable[[str], str]] = {
    "A.": lambda letter: f"{letter}.",
    "A:": lambda letter: f"{letter}:",
    "A)": lambda letter: f"{letter})",
    "(A)": lambda letter: f"({letter})",
}


@pytest.mark.parametrize("ask", ["", "\nAnswer with the option's letter.", " Please respond with only the letter."])
@pytest.mark.parametrize("before", ["", "Options: ", "Options:\n"])
@pytest.mark.parametrize("join", ["\n", " ", ", ", "; "])
@pytest.mark.parametrize("form", FORMS_OF_OPTIONS)
def test_options_are_found_however_they_are_written(
    form: str, join: str, before: str, ask: str, tmp_path: Path
) -> None:
    written = join.join(
        f"{FORMS_OF_OPTIONS[form](letter)} {text}"
        for letter, text in zip("ABC", ("red hat", "a 2", "Mr. B"), strict=True)
    )
    question = f"What is it?{chr(10) if join == chr(10) else ' '}{before}{written}{ask}"
    found = written_options(question)
    assert found is not None
    assert (found.question, found.options) == ("What is it?", ["red hat", "a 2", "Mr. B"])
    turns = [{"from": "human", "value": "<image>\n" + question}, {"from": "gpt", "value": "B. a 2"}]
    (tmp_path / "mc.json").write_text(json.dumps([LLAVA | {"conversations": turns}]))
    done = convert(tmp_path / "mc.json", "llava_video")
    assert [(q.question, q.options, q.answer) for q in done.questions] == [("What is it?", found.options, "a 2")]


@pytest.mark.parametrize("text", ["Who is Mr. A. and Mrs. B. here?", "Is it A. or B. that leaves?"])
def test_letters_in_running_text_are_no_options_where_the_reply_chooses_none(text: str, tmp_path: Path) -> None:
    turns = [{"from": "human", "value": text}, {"from": "gpt", "value": "They are neighbours."}]
    (tmp_path / "oe.json").write_text(json.dumps([LLAVA | {"conversations": turns}]))
    assert [(q.question, q.options) for q in convert(tmp_path / "oe.json", "llava_video").questions] == [(text, None)]


def test_tacos_counts_in_frames(tmp_path: Path) -> None:
    def entry(spans: list[Any], **more: object) -> dict[str, object]:
        return {"timestamps": spans, "sentences": ["He cuts."] * len(spans), "fps": 29.4, "num_frames": 294} | more

    content = {
        "s13-d21.avi": entry([[0, 147], [147, 400], [300, 290], ["a", 5]]),
        "s13-d25.avi": entry([[0, 9]], fps=0),
        "s13-d28.avi": {"timestamps": [[0, 9]], "sentences": ["He cuts."], "fps": 29.4},
    }
    (tmp_path / "val.json").write_text(json.dumps(content))
    done = convert(tmp_path / "val.json", "tacos")
    assert [(q.video, q.evidence) for q in done.questions] == [("s13-d21.avi", [(0, 5)]), ("s13-d21.avi", [(5, 10)])]
    assert (done.clamped, [reject.item for reject in done.rejects]) == (
        1,
        ["val.json:s13-d21.avi:2", "val.json:s13-d21.avi:3", "val.json:s13-d25.avi", "val.json:s13-d28.avi"],
    )
    assert "`num_frames` is missing" in done.rejects[-1].reason


REFUSED: dict[str, tuple[dict[str, object], str]] = {
    "a blank question": ({"question": " \t"}, "`question` is blank"),
    "a blank video": ({"video": " "}, "`video` is blank"),
    "half of a character": ({"answer": "\ud800"}, "half of a character"),
    "no options": ({"options": []}, "`options` is empty"),
    "a blank option": ({"options": ["x", " "]}, "an option is blank"),
    "an option twice": ({"options": ["x", "y", "X "]}, "stands more than once"),
    "too many options": ({"options": [str(n) for n in range(27)]}, "27 options"),
    "evidence partly before the video": ({"evidence": [[1, 2], [-0.5, 3]]}, "begins before the video"),
    "evidence before the video": ({"evidence": [[-5, -3]]}, "begins before the video"),
    "evidence that is no number": ({"evidence": [[float("nan"), 3]]}, "finite number"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_no_question_is_refused_with_its_reason(what: str, tmp_path: Path) -> None:
    changed, told = REFUSED[what]
    rows = [OWN | {"id": "1"}, OWN | {"id": "2"} | changed, OWN | {"id": "3"}]
    (tmp_path / "q.jsonl").write_text("\n".join(map(json.dumps, rows)))
    done = convert(tmp_path / "q.jsonl", "questions_jsonl")
    assert [question.id for question in done.questions] == ["1", "3"]
    assert [reject.item for reject in done.rejects] == ["q.jsonl:2"]
    assert told in done.rejects[0].reason


@pytest.mark.parametrize("span", ["-2 3", "-4 -1", "nan 3"])
def test_no_source_takes_evidence_from_before_its_video(span: str, tmp_path: Path) -> None:
    windows: list[list[float]] = [[float(end) for end in span.split()], [1, 2]]
    files: dict[str, tuple[str, str]] = {
        "charades_sta": ("sta.txt", f"AB1 {span}##he drinks."),
        "qvhighlights": ("q.jsonl", json.dumps(MOMENT | {"relevant_windows": windows})),
        "activitynet_captions": ("v.json", json.dumps({"v": {"duration": 9, "timestamps": windows[:1], "sentences": ["So."]}})),
        "tacos": ("t.json", json.dumps({"v": {"fps": 2, "num_frames": 9, "timestamps": windows[:1], "sentences": ["So."]}})),
        "segments": ("a.segments.json", json.dumps({"segments": [{"clip": "c", "start": windows[0][0], "end": windows[0][1]}]})),
        "video_pairs": ("p.json", json.dumps({"v": {"charades_sta": [[*windows[0], "He walks."]]}})),
        "nextgqa": ("val.csv", ",".join(["video_id", *NEXTQA[1:]]) + "\n" + _row(1)),
    }  # fmt: skip
    (tmp_path / "gsub_val.json").write_text(json.dumps({"1": {"duration": 9, "location": {"1": windows}}}))
    for source, (name, content) in files.items():
        (tmp_path / name).write_text(content)
        done = convert(tmp_path / name, source)
        assert (done.questions, [reject.verdict for reject in done.rejects]) == ([], ["bad_span"]), source


def test_halves_of_characters_are_put_aside_and_written_down(tmp_path: Path) -> None:
    """JSON spells them, and no file can hold them: neither a question nor the list of what was left out."""
    half = "\ud800"
    entry = {"duration": 9, "timestamps": [[0, 9], [-1, 2]], "sentences": [half, half]}
    files: dict[str, list[Any]] = {
        "questions_jsonl": [OWN | {"options": [half, "x"]}, OWN | {"id": half}],
        "activitynet_captions": [{half: entry}],
        "activitynet_qa": [[{"video_name": "v", "question": "Is it?", "question_id": half}]],
        "qvhighlights": [MOMENT | {"query": half}],
        "llava_video": [LLAVA | {"id": half}],
    }
    (tmp_path / "x_a.json").write_text("[]")
    for source, rows in files.items():
        (tmp_path / "x_q.json").write_text("\n".join(map(json.dumps, rows)))
        done = convert(tmp_path / "x_q.json", source)
        assert not done.questions
        write_rejects(tmp_path / "rejects.jsonl", done.rejects)
        assert list(read_rejects(tmp_path / "rejects.jsonl")) == done.rejects != [], source


def test_shards_of_earlier_releases_may_hold_what_is_refused_now() -> None:
    from videorouter.shards.schema import VideoQuestion

    old = OWN | {"question": " ", "options": ["x", "x"], "evidence": [[-1, 2]]}
    assert VideoQuestion.model_validate(old).evidence == [(-1, 2)]
