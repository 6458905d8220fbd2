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
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = folder / "bin" / "python"
    purelib = [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    site = Path(subprocess.run(purelib, capture_output=True, text=True, check=True).stdout.strip())
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(python), "install", "--quiet"]
    for packages in (["--no-deps", RELEASED], IMPORTED):
        fetched = subprocess.run([*pip, *packages], capture_output=True, text=True)
        if fetched.returncode:
            raise ConnectionError(fetched.stderr)
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
    subprocess.run([*pip, "--no-deps", "--no-build-isolation", "--no-index", str(source)], check=True)
    return python
