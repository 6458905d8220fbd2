"""What an installed package registers is found and used without a change to ours: the example package, really installed."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from videorouter.registry import Registry

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of installed packages that holds the example."""
    folder = tmp_path_factory.mktemp("extension")
    shutil.copytree(ROOT / "examples" / "extension", folder / "source")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, "--no-build-isolation", "--target", str(folder / "site"), str(folder / "source")], check=True)
    return folder / "site"


def run(site: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(site), str(ROOT)]), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-m", "videorouter", *map(str, words)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, cwd=site)


def test_its_system_and_benchmark_are_compared_on_a_base_alone(
    site: Path, base: Path, world: Path, tmp_path: Path
) -> None:
    videos = sorted((world / "videos").iterdir())[:2]
    quiz = [{"video": str(video), "question": "Which?", "options": ["a", "b"], "right": 1} for video in videos]
    (tmp_path / "quiz.json").write_text(json.dumps([*quiz, {**quiz[0], "right": 7}]))
    systems = ["newest_frames(stride=2)", "frame_budget"]
    asked: list[str | Path] = [
        "--base",
        base,
        "--data",
        tmp_path,
        "--benchmark",
        "clip_quiz",
        "--systems",
        json.dumps(systems),
    ]
    more = ["--validation_split", "null", "--budget", "64", "--frames", "16", "--scoring", "likelihood"]
    done = run(site, "eval", "run", *asked, *more, "--out", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in (tmp_path / "run" / "predictions.jsonl").read_text().splitlines()]
    assert {row["system"] for row in rows} == {"newest_frames(stride=2)", "frame_budget"}
    assert json.loads((tmp_path / "run" / "manifest.json").read_text())["wrong rows left out"] == 1
    assert "newest_frames(stride=2)" in done.stdout


def test_its_source_and_builder_read_a_file(site: Path, tmp_path: Path) -> None:
    file = tmp_path / "questions.tsv"
    file.write_text("q1\ta.mp4\tWhat?\tA cat\nbroken line\n\nq2\ta.mp4\tWhy?\tA dog\n")
    out = tmp_path / "questions.jsonl"
    done = run(site, "data_builders", "convert", "--source", "tab_separated", "--questions", file, "--out", out)
    assert done.returncode in (0, 3), done.stderr
    assert [json.loads(line)["id"] for line in out.read_text().splitlines()] == ["q1", "q2"]
    counted = run(site, "data_builders", "count_questions", file)
    assert counted.stdout == "2 questions, 1 in quarantine\n"
    refused = run(site, "data_builders", "count_questions")
    assert (refused.returncode, refused.stderr) == (1, "error: count_questions takes one file\n")
    assert "count_questions" in run(site, "data_builders", "--help").stdout


def test_a_name_that_is_taken_or_cannot_be_imported_is_told_with_its_package(site: Path, tmp_path: Path) -> None:
    for package, point in (("thief", "dense = json:dumps"), ("broken", "missing = nowhere:build")):
        info = tmp_path / package / f"{package}-1.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1\n")
        (info / "entry_points.txt").write_text(f"[videorouter.systems]\n{point}\n")
    code = "from videorouter.routers.systems.registry import BUILDERS; BUILDERS['missing']"
    for package, told in (
        ("thief", "the package thief registers the system 'dense', which is videorouter's own"),
        ("broken", "the system 'missing' of the package broken cannot be loaded (nowhere:build)"),
    ):
        environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path / package), str(ROOT)])}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
        assert told in done.stderr


def test_an_unknown_name_is_told_with_those_there_are() -> None:
    registry = Registry("videorouter.nothing", "dish", {"soup": 1, "stew": 2})
    assert (list(registry), len(registry), registry.named("stew")) == (["soup", "stew"], 2, 2)
    with pytest.raises(ValueError, match="unknown dish 'pie': there are soup, stew"):
        registry.named("pie")
