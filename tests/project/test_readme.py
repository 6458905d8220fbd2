"""The commands of the README and of the guides run as they stand, at tiny scale; what needs GPUs or the Hub is parsed only."""

import json
import os
import re
import shlex
import shutil
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.project.linked_checkout import linked_checkout
from tests.warm.commands import warm_commands
from videorouter.miniature.bases import ROBUST, ROBUST_ROUTER
from videorouter.miniature.world.build import WorldPlan

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"```(bash|python)\n(.*?)```", re.DOTALL)
PAGES = ("README.md", "docs/building-datasets.md", "docs/training.md")
NEVER_RUN = ("make test", "make serve", "VIDEOROUTER_REAL_DATA=")
"""`make serve` runs until it is stopped: tests/serve/test_serving_document.py runs it."""


def blocks(language: str) -> list[str]:
    texts = ((ROOT / page).read_text(encoding="utf-8") for page in PAGES)
    return [code for text in texts for kind, code in BLOCK.findall(text) if kind == language]


def commands() -> list[str]:
    return [line for code in blocks("bash") for line in code.splitlines() if line.strip()]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return linked_checkout(tmp_path_factory.mktemp("checkout"), warm_commands())


def expected(line: str) -> str | None:
    """What a line says that it prints: `command  # -> (B)`."""
    found = re.search(r"# -> (.+)$", line)
    return found[1] if found else None


def put_a_whole_demos_router_in_place(demo: Path) -> None:
    """A tiny demo's router has seen two videos; the documents promise the answers of a whole demo's, as the shipped one is."""
    shutil.rmtree(demo / "router")
    shutil.copytree(ROBUST_ROUTER, demo / "router")
    config = json.loads((demo / "router" / "config.json").read_text(encoding="utf-8"))
    config["base"]["path"] = str(ROBUST)
    (demo / "router" / "config.json").write_text(json.dumps(config), encoding="utf-8")


@pytest.mark.timeout(600)  # a minute on a quiet machine
def test_the_commands_run_and_print_what_the_documents_say(checkout: Path) -> None:
    environment = os.environ | {"SCALE": "tiny", "PYTHONPATH": str(checkout), "HF_HUB_OFFLINE": "1"}
    background, started = [], time.monotonic()
    try:
        for line in commands():
            if line.startswith(NEVER_RUN) or "torchrun" in line or " push " in line:
                continue
            if line.endswith("&"):
                background.append(subprocess.Popen(shlex.split(line.rstrip("& ")), cwd=checkout, env=environment))
                time.sleep(1)
                continue
            done = subprocess.run(line, shell=True, cwd=checkout, env=environment, capture_output=True, text=True)
            assert done.returncode == 0, f"{line}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
            if (answer := expected(line)) is not None:
                assert f"choice        {answer}" in done.stdout, f"{line}\n{done.stdout}"
            if line == "make demo":
                put_a_whole_demos_router_in_place(checkout / "runs" / "demo")
    finally:
        for process in background:
            process.terminate()
            process.wait(timeout=20)
    print(f"the documents' commands took {time.monotonic() - started:.0f} s")
    for code in blocks("python"):
        python = checkout / ".venv" / "bin" / "python"
        done = subprocess.run([python, "-c", code], cwd=checkout, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        printed = [text for line in code.splitlines() if (text := expected(line)) is not None]
        assert printed
        assert [line for line in done.stdout.splitlines() if line in printed] == printed, done.stdout


def test_the_answers_that_the_readme_prints_are_true() -> None:
    """Checked against the scenes of the two videos that it asks about, whose seed and numbers are the demo's."""
    script, second = (WorldPlan().script(index) for index in (0, 1))
    shown = Counter(scene.figure for scene in script.scenes)
    at = {scene.figure: scene.glyph_at for scene in script.scenes}
    assert at["red", "circle"]("top left corner") == "4"
    assert at["orange", "heart"]("bottom left corner") == "F"
    assert (shown["magenta", "heart"], shown["red", "star"], shown["red", "circle"]) == (5, 4, 1)
    figures = {scene.figure for scene in second.scenes}
    assert figures >= {("red", "circle"), ("blue", "star")}
    assert ("green", "heart") not in figures


def test_torchrun_lines_parse() -> None:
    from videorouter.command_line import with_config_paths
    from videorouter.train.cli import parse

    lines = [shlex.split(line) for line in commands() if "torchrun" in line]
    assert len(lines) == 5
    for words in lines:
        arguments = words[words.index("videorouter.train") + 1 :]
        assert parse(with_config_paths(arguments)).subcommand == "fit"


def test_make_targets_named_in_the_readme_exist() -> None:
    named = set(re.findall(r"make ([a-z][a-z-]+)", (ROOT / "README.md").read_text(encoding="utf-8")))
    defined = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert {"demo", "test", "build-flr"} <= named <= defined


@pytest.mark.parametrize("page", ["README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))])
def test_links_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    targets = re.findall(r"\]\((?!https?:)([^)#]+)\)", text)
    assert all(((ROOT / page).parent / target).exists() for target in targets)
