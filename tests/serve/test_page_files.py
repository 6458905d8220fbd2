"""The page without a browser: it needs no other host, comes with its policy, and is in the wheel."""

import json
import re
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

from tests.serve.running_server import ROOT
from tests.serve.serving import Serving
from videorouter.serve.access import OPEN
from videorouter.serve.page.assets import ASSETS, FOLDER
from videorouter.serve.page.examples import MOST_EACH, with_examples

FILES = [FOLDER / "page.html", *(FOLDER / name for name in ASSETS)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_page_names_no_other_host_and_holds_nothing_its_policy_blocks(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"(https?:)?//[\w-]+\.", re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE))
    if path.suffix == ".html":
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", text)
    if path.suffix == ".js":
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|setAttribute\(.style", text
        )


def test_every_file_that_the_page_asks_for_is_served_without_a_key() -> None:
    asked = {"page.html"}
    while new := {name for known in asked for name in _asked_by(FOLDER / known)} - asked:
        asked |= new
    assert asked == {"page.html", *ASSETS}
    assert {f"/{name}" for name in ASSETS} < OPEN


def test_the_wheel_holds_the_page() -> None:
    data = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["package-data"][
        "*"
    ]
    assert (FOLDER / "__init__.py").is_file()
    for path in FILES:
        assert any(fnmatch(path.name, pattern) for pattern in data), path.name


def test_the_page_comes_with_its_policy_and_the_questions_beside_its_videos(serving: Serving) -> None:
    with serving.http() as client:
        page = client.get("/")
        assert page.headers["content-type"].startswith("text/html")
        assert "default-src 'self'" in page.headers["content-security-policy"]
        assert "unsafe" not in page.headers["content-security-policy"]
        for name, kind in ASSETS.items():
            asset = client.get(f"/{name}")
            assert asset.headers["content-type"].startswith(kind)
            assert asset.headers["x-content-type-options"] == "nosniff"
        videos = client.get("/videos").json()["data"]
        rows = [json.loads(line) for line in (serving.world / "questions.jsonl").open()]
        assert videos
        for video in videos:
            own = [row["question"] for row in rows if row["video"] == video["name"]]
            assert [one["question"] for one in video["questions"]] == own[:MOST_EACH]


def test_damaged_questions_give_no_examples(tmp_path: Path) -> None:
    videos = [{"name": "a.mp4"}, {"name": "b.mp4"}]
    assert with_examples(videos, tmp_path) == videos
    (tmp_path / "questions.jsonl").write_text('{"video": "a.mp4", "question": ')
    assert with_examples(videos, tmp_path) == videos
    rows = [
        {"video": "a.mp4", "question": 5},
        {"video": ["a.mp4"], "question": "q"},
        {"video": "b.mp4", "question": "Why?", "options": [1]},
    ]
    (tmp_path / "questions.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    assert with_examples(videos, tmp_path) == [
        {"name": "a.mp4"},
        {"name": "b.mp4", "questions": [{"question": "Why?"}]},
    ]


def _asked_by(path: Path) -> set[str]:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".html":
        return set(re.findall(r'(?:src|href)="([\w.-]+\.(?:js|css))"', text))
    return set(re.findall(r'from "\./([\w.-]+)"', text))
