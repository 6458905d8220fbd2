"""The public interface is whole, light where it can be, and no module exists under two names."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest

import videorouter

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "transformers", "pytorch_lightning", "datasets", "matplotlib", "scipy", "sklearn", "av", "decord")
LIGHT = (
    "VideoQuestion",
    "LabelledQuestion",
    "VideoRecord",
    "parse_choice",
    "sample_frames",
    "SampledFrames",
    "VideoError",
)
HELP = (
    "--help", "video --help", "shards --help", "data_builders --help", "data_builders flr annotate --help", "train --help",
    "train check --help", "routers --help", "routers answer --help", "eval --help", "eval run --help", "eval report --help",
    "serve --help", "miniature --help", "miniature demo --help", "config",
)  # fmt: skip
SECONDS = 1.0
"""Of processor time, which other work on the machine does not lengthen much; more on a machine that imports more slowly."""
PLAIN = "import argparse, asyncio, email, json, logging, ssl, unittest.mock"
PLAIN_SECONDS = 0.08
"""Of processor time that `PLAIN` takes at most where a second is allowed."""
TELL = "; import sys; print('heavy:', *sorted(name for name in sys.argv[1].split() if name in sys.modules))"
COMMAND = "import runpy, sys; sys.argv = ['videorouter', *sys.argv[2:]]\ntry: runpy.run_module('videorouter', run_name='__main__')"
COMMAND += "\nexcept SystemExit as left: assert not left.code, left.code"


def run(code: str, *arguments: str) -> str:
    done = subprocess.run([sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_name_is_there_and_listed() -> None:
    assert all(getattr(videorouter, name) is not None for name in videorouter.__all__)
    assert set(videorouter.__all__) <= set(dir(videorouter))
    assert {name for names in videorouter._DEFINED_IN.values() for name in names} == {*videorouter.__all__} - {
        "__version__"
    }
    missing = "Router"
    with pytest.raises(AttributeError, match=r"has no attribute 'Router': it has .*VideoRouter"):
        getattr(videorouter, missing)


def test_every_name_is_argued_in_the_documents() -> None:
    page = (ROOT / "docs" / "interface.md").read_text(encoding="utf-8")
    assert not [name for name in videorouter.__all__ if f"`{name}`" not in page]


def timed(code: str, *arguments: str) -> tuple[str, float]:
    """What the code prints, and its seconds of processor time."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    printed = run(code, *arguments)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return printed, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.parametrize("name", LIGHT)
def test_it_is_imported_without_torch(name: str) -> None:
    assert run(f"from videorouter import {name}" + TELL, " ".join(HEAVY)).splitlines()[-1] == "heavy:"


def test_the_runtime_is_imported_sooner_than_a_model_class_of_transformers() -> None:
    """Which takes `modeling_utils`, half of the seconds, along: here it comes when a model is loaded."""
    printed = run("from videorouter import VideoRouter" + TELL, "transformers transformers.modeling_utils")
    assert printed.splitlines()[-1] == "heavy: transformers"


@pytest.mark.parametrize("arguments", HELP)
def test_help_comes_without_torch_and_within_a_second(arguments: str) -> None:
    spent = []
    for _ in range(3):
        printed, seconds = timed(
            COMMAND + "\n" + TELL[2:].replace("sys.argv[1].split()", repr(HEAVY)), "", *arguments.split()
        )
        assert printed.splitlines()[-1] == "heavy:"
        assert len(printed.splitlines()) > 3
        _, plain = timed(PLAIN)
        spent.append(seconds / max(1.0, plain / PLAIN_SECONDS))
        if spent[-1] < SECONDS:
            return
    pytest.fail(f"videorouter {arguments} took {min(spent):.2f} s of processor time")


def test_a_package_run_in_the_checkout_is_imported_once() -> None:
    """`python -m train` puts its own package into memory; everything it imports is videorouter's."""
    code = "import runpy, sys; sys.argv = ['train', 'check', '--help']\ntry: runpy.run_module('train', run_name='__main__')\n"
    code += "except SystemExit: pass\nfrom videorouter.train import cli\n"
    code += (
        "print(*sorted(n for n in sys.modules if n.split('.')[0] in {'video', 'shards', 'routers', 'train', 'eval'}))"
    )
    assert set(run(code).splitlines()[-1].split()) <= {"train", "train.__main__"}


def test_an_old_name_is_refused_in_tests() -> None:
    with pytest.raises(ImportError, match=r"routers: import videorouter\.routers"):
        __import__("routers")


def test_a_checkout_without_links_is_told_so_in_one_line(tmp_path: Path) -> None:
    """As git writes it with core.symlinks=false: a link is a file that holds its target."""
    package = tmp_path / "videorouter"
    package.mkdir()
    for path in (ROOT / "videorouter").iterdir():
        if path.is_symlink():
            (package / path.name).write_text(str(path.readlink()))
        elif path.is_file():
            (package / path.name).write_bytes(path.read_bytes())
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    build = [sys.executable, "-m", "build", "--no-isolation", "--wheel", str(tmp_path)]
    built = subprocess.run(build, capture_output=True, text=True)
    assert built.returncode != 0
    assert "this checkout has no symbolic links" in built.stdout + built.stderr
    commands = [
        ["-c", "import videorouter"],
        ["-m", "videorouter", "routers", "--help"],
        ["-m", "videorouter.train", "fit"],
    ]
    for number, command in enumerate(commands):
        done = subprocess.run([sys.executable, *command], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 1
        assert "this checkout has no symbolic links" in done.stderr.splitlines()[-1]
        assert number == 0 or len(done.stderr.splitlines()) == 1
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    made = subprocess.run(["make", "setup"], cwd=tmp_path, capture_output=True, text=True)
    assert made.returncode != 0
    assert made.stderr.splitlines()[0].startswith("this checkout has no symbolic links")
