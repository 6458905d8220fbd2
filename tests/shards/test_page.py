"""`show` writes a page that stands by itself and holds every frame and question."""

from pathlib import Path

import pytest

from tests.shards.samples import five, sample
from videorouter.shards.__main__ import main
from videorouter.shards.page import page


def test_a_page_stands_by_itself(tmp_path: Path) -> None:
    assert main(["show", str(five(tmp_path / "data")), "b", "--out", str(tmp_path / "pages" / "b.html")]) == 0
    written = (tmp_path / "pages" / "b.html").read_text()
    assert written.count("<figure ") == 4
    assert "What?" in written
    assert "http" not in written.replace("<!doctype html>", "")
    assert "$" not in written


def test_what_people_wrote_is_escaped() -> None:
    video = sample("a")
    labelled = video.questions[0]
    question = labelled.question.model_copy(update={"question": "<script>alert(1)</script>"})
    made = page(type(video)("a", video.video, [labelled.model_copy(update={"question": question})], video.jpegs))
    assert "<script>alert" not in made
    assert "&lt;script&gt;alert" in made


def test_a_key_that_is_not_there_is_said_with_some_that_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", str(five(tmp_path / "data")), "zebra", "--out", str(tmp_path / "z.html")]) == 1
    assert "there are a, b, c" in capsys.readouterr().err
