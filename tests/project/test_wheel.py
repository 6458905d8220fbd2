"""A built wheel has one top-level name and works outside the checkout, also beside files that bear the names of our folders."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.project.wheel_content import faults
from videorouter.command_line import find_config

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The wheel of the checkout, and the wheel of its source distribution."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_symlink() or (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, source / name, follow_symlinks=False)
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir"]
    subprocess.run([*build, str(folder / "direct"), "--wheel", str(source)], check=True, capture_output=True)
    subprocess.run([*build, str(folder / "from-sdist"), str(source)], check=True, capture_output=True)
    return [next((folder / way).glob("*.whl")) for way in ("direct", "from-sdist")]


@pytest.fixture(scope="module")
def installed(wheels: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` folder of a virtual environment that holds the wheel; dependencies are seen through from this one."""
    folder, wheel = tmp_path_factory.mktemp("installed"), wheels[0]
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    venv = folder / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    python = venv / "bin" / "python"
    subprocess.run(
        [*pip, "--python", str(python), "install", "--quiet", "--no-deps", "--no-index", str(wheel)], check=True
    )
    site = subprocess.run(
        [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    Path(site, "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return venv / "bin"


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with files that bear the names of ours, each of which ends the process that imports or runs it."""
    folder = tmp_path_factory.mktemp("elsewhere")
    for name in ("video", "train", "eval", "shards", "routers", "configs/__init__", "data_builders/__main__"):
        stray = folder / f"{name}.py"
        stray.parent.mkdir(exist_ok=True)
        stray.write_text(f"raise SystemExit('the stray {name}.py was run')")
    return folder


def run(command: Sequence[str | Path], folder: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(list(map(str, command)), cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_holds_every_file_once_under_one_name(wheels: list[Path]) -> None:
    assert [faults(wheel) for wheel in wheels] == [[], []]
    tops = {name.split("/")[0] for name in zipfile.ZipFile(wheels[0]).namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"videorouter"}


def test_the_wheel_of_the_source_distribution_is_the_same(wheels: list[Path]) -> None:
    direct, from_sdist = (
        {entry.filename: entry.CRC for entry in zipfile.ZipFile(wheel).infolist()} for wheel in wheels
    )
    records = {name for name in direct if name.endswith("/RECORD")}
    assert {name for name in direct if direct[name] != from_sdist.get(name)} <= records
    assert direct.keys() == from_sdist.keys()


def test_the_wheel_is_what_is_imported(installed: Path, elsewhere: Path) -> None:
    code = "import videorouter.routers as r, videorouter.miniature as m; print(r.__file__, m.__file__)"
    assert all(str(installed.parent) in place for place in run([installed / "python", "-c", code], elsewhere).split())


@pytest.mark.parametrize("started", [["python", "-m", "videorouter.routers"], ["videorouter", "routers"]])
def test_it_answers_a_question(installed: Path, elsewhere: Path, router: Path, world: Path, started: list[str]) -> None:
    video = sorted((world / "videos").iterdir())[0]
    command: list[str | Path] = [
        installed / started[0],
        *started[1:],
        "answer",
        "--model",
        router,
        "--video",
        video,
        "--question",
        "Which symbol?",
    ]
    assert json.loads(run([*command, "--json"], elsewhere))["tokens"] > 0


def test_it_prints_a_shipped_config(installed: Path, elsewhere: Path) -> None:
    name = "train/image_router.yaml"
    assert run([installed / "videorouter", "config", name], elsewhere) == find_config(name).read_text()
    assert name in run([installed / "videorouter", "config"], elsewhere)


def test_its_trainer_is_not_mistaken_for_a_stray_file(installed: Path, elsewhere: Path) -> None:
    printed = run(
        [installed / "videorouter", "train", "fit", "--config", "train/image_router", "--print_config"], elsewhere
    )
    assert "videorouter.train.modules.ImageRouterModule" in printed


def test_prompts_and_templates_are_in_it(installed: Path, elsewhere: Path) -> None:
    code = "from videorouter.data_builders.teacher.request import load_prompt; import os, videorouter.miniature as m; "
    code += "print(load_prompt('answer').hash, os.path.getsize(os.path.dirname(m.__file__) + '/chat_template.jinja'))"
    assert len(run([installed / "python", "-c", code], elsewhere).split()) == 2


def test_the_report_page_is_in_it_whole(installed: Path, elsewhere: Path) -> None:
    code = "import os, videorouter.eval.report as r; print(*os.listdir(os.path.dirname(r.__file__)))"
    assert {"page.html", "page.css", "page.js", "install_browser.sh"} <= set(
        run([installed / "python", "-c", code], elsewhere).split()
    )
