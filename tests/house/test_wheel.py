"""A built wheel works outside the checkout, also beside files that bear the names of our rooms."""

import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

import pytest

import configs

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` folder of a virtual environment that holds the wheel; dependencies are seen through from this one."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True)
    files = listed.stdout.split() or [
        str(p.relative_to(ROOT)) for p in ROOT.rglob("*") if p.suffix in {".py", ".toml", ".yaml"}
    ]
    for name in files:
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    build = [*pip, "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(source)]
    subprocess.run(build, check=True)
    (wheel,) = folder.glob("*.whl")
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
    """A folder with a stray train.py and a stray configs folder."""
    folder = tmp_path_factory.mktemp("elsewhere")
    (folder / "train.py").write_text("raise SystemExit('the stray train.py was run')")
    (folder / "configs").mkdir()
    return folder


def run(command: Sequence[str | Path], folder: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(list(map(str, command)), cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_wheel_is_what_is_imported(installed: Path, elsewhere: Path) -> None:
    code = "import routers, configs, miniature; print(routers.__file__, configs.__file__, miniature.__file__)"
    assert all(str(installed.parent) in place for place in run([installed / "python", "-c", code], elsewhere).split())


@pytest.mark.parametrize("door", [["python", "-m", "routers"], ["videorouter", "routers"]])
def test_it_answers_a_question(installed: Path, elsewhere: Path, router: Path, world: Path, door: list[str]) -> None:
    video = sorted((world / "videos").iterdir())[0]
    command: list[str | Path] = [
        installed / door[0],
        *door[1:],
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
    assert run([installed / "videorouter", "config", name], elsewhere) == configs.find(name).read_text()
    assert name in run([installed / "videorouter", "config"], elsewhere)


def test_its_trainer_is_not_mistaken_for_a_stray_file(installed: Path, elsewhere: Path) -> None:
    printed = run(
        [installed / "videorouter", "train", "fit", "--config", "train/image_router", "--print_config"], elsewhere
    )
    assert "train.modules.ImageRouterModule" in printed


def test_prompts_and_templates_are_in_it(installed: Path, elsewhere: Path) -> None:
    code = "from data_builders.prompting import load_prompt; from pathlib import Path; import miniature; "
    code += (
        "print(load_prompt('answer').hash, (Path(miniature.__file__).parent / 'chat_template.jinja').stat().st_size)"
    )
    assert len(run([installed / "python", "-c", code], elsewhere).split()) == 2


def test_the_report_page_is_in_it_whole(installed: Path, elsewhere: Path) -> None:
    code = "from pathlib import Path; import eval.report as r; print(*sorted(p.name for p in Path(r.__file__).parent.glob('*.*')))"
    assert {"page.html", "page.css", "page.js", "install_browser.sh"} <= set(
        run([installed / "python", "-c", code], elsewhere).split()
    )
