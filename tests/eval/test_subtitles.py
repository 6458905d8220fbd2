"""Subtitles are read with the seconds of the video; a damaged file gives none and is counted."""

import math
from pathlib import Path

import pytest

from tests.eval import published
from videorouter.eval.benchmarks.items import Subtitles
from videorouter.eval.running.subtitles import Line, SubtitleReader, read_lines, shown_at


def test_srt(tmp_path: Path) -> None:
    file = tmp_path / "a.srt"
    file.write_bytes(("\ufeff" + published.SRT.replace("\n", "\r\n")).encode())
    assert read_lines(Subtitles(file)) == [Line(1.0, 3.5, "hello there"), Line(4.0, 6.0, "second line")]


def test_both_json_forms_count_from_the_clip(tmp_path: Path) -> None:
    published.write_json(tmp_path / "a.json", published.LVB_SUBTITLES)
    assert read_lines(Subtitles(tmp_path / "a.json", 120.0))[1:3] == [
        Line(1, 4, "in the clip"),
        Line(10, 20, "open end"),
    ]
    published.write_json(
        tmp_path / "b.json", [{"start": "00:02:01.500", "end": "00:02:03.000", "line": "x"}, {"start": 3}, 7]
    )
    assert read_lines(Subtitles(tmp_path / "b.json", 120.0)) == [Line(1.5, 3.0, "x")]
    published.write_json(tmp_path / "d.json", [{"timestamp": [1, 2], "text": "half \ud83d"}])
    assert read_lines(Subtitles(tmp_path / "d.json")) == [Line(1, 2, "half ?")]
    published.write_json(tmp_path / "c.json", [{"timestamp": [1, None], "text": "to the end"}])
    assert read_lines(Subtitles(tmp_path / "c.json")) == [Line(1, math.inf, "to the end")]


def test_only_lines_at_sampled_frames_in_order_without_repeats() -> None:
    lines = [Line(0, 2, "a"), Line(2, 4, "b"), Line(4, 6, "b"), Line(6, 8, "c"), Line(8, 9, "a")]
    assert shown_at(lines, [7.0, 2.0, 3.0, 4.5, 8.0]) == ["b", "c", "a"]
    assert shown_at(lines, [9.0, 20.0]) == shown_at(lines, []) == []


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.srt", b"no subtitles here"),
        ("a.srt", b"\xff\xfe\x00"),
        ("a.json", b"{"),
        ("a.json", b"{}"),
        ("a.json", b"[1, 2]"),
    ],
)
def test_a_damaged_file_gives_nothing_and_is_counted_once(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    reader = SubtitleReader()
    for _ in range(2):
        assert reader.lines(Subtitles(tmp_path / name)) == []
    assert list(reader.damaged) == [tmp_path / name]


def test_a_missing_file_is_counted_and_an_empty_one_is_not_damaged(tmp_path: Path) -> None:
    (tmp_path / "empty.srt").touch()
    reader = SubtitleReader()
    assert reader.lines(Subtitles(tmp_path / "empty.srt")) == reader.lines(Subtitles(tmp_path / "gone.srt")) == []
    assert list(reader.damaged) == [tmp_path / "gone.srt"]
