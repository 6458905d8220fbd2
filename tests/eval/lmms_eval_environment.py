"""An environment of its own that holds the released lmms-eval beside this checkout."""

import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
RELEASED: Final = "lmms_eval==0.7.*"
IMPORTED: Final = ("loguru", "tenacity", "sacrebleu", "evaluate", "pytz", "pytablewriter")
"""What its evaluator imports and we do not have. Its full list of dependencies asks for torchvision and av<16, which nothing on
the evaluator's path imports: PyPI's torchvision needs a CUDA build of torch, and another av is tested here."""


def make_environment(folder: Path) -> Path:
    """The python of an environment in `folder`: lmms-eval, an installed copy of this checkout, dependencies seen through.

    Raises `ConnectionError` where the packages cannot be fetched.
    """
    python = released(folder)
    source = folder / "source"
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in listed.stdout.split():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_symlink():  # the packages in videorouter/
            (source / name).symlink_to((ROOT / name).readlink())
        elif (ROOT / name).is_file():
            (source / name).write_bytes((ROOT / name).read_bytes())
    install(python, "--no-deps", "--no-build-isolation", "--no-index", str(source))
    return python


def released(folder: Path) -> Path:
    """The python of an environment with lmms-eval alone, dependencies seen through. Raises as `make_environment`."""
    python = empty_environment(folder)
    (site_packages(python) / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    install(python, "--no-deps", RELEASED)
    install(python, *IMPORTED)
    return python


def empty_environment(folder: Path) -> Path:
    """The python of an environment without packages."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    return folder / "bin" / "python"


def site_packages(python: Path) -> Path:
    """Where an environment's packages are."""
    purelib = [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    return Path(subprocess.run(purelib, capture_output=True, text=True, check=True).stdout.strip())


def install(python: Path, *wanted: str) -> None:
    """Packages, or options of pip. Raises `ConnectionError` where they cannot be fetched."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(python), "install", "--quiet"]
    done = subprocess.run([*pip, *wanted], capture_output=True, text=True)
    if done.returncode:
        raise ConnectionError(done.stderr)
