"""What a wheel must hold: every file of the packages once, under the one import name (`make wheel` runs this on it)."""

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
LEFT_OUT = (".gitignore",)


def expected() -> set[str]:
    """The files of `videorouter/` and of the folders it links to, as the wheel names them."""
    package = ROOT / "videorouter"
    folders = {link.name: link.resolve() for link in package.iterdir() if link.is_symlink()}
    told = ["git", "ls-files", "-co", "--exclude-standard", "videorouter", *folders]
    listed = subprocess.run(told, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    files = {name for name in listed if not (ROOT / name).is_symlink() and not name.endswith(LEFT_OUT)}
    return {
        name if name.startswith("videorouter/") else f"videorouter/{name}" for name in files if (ROOT / name).is_file()
    }


def faults(wheel: Path) -> list[str]:
    """What is missing, there twice, or does not belong there."""
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if not name.split("/")[0].endswith(".dist-info")]
    wanted = expected()
    return [
        *(f"missing: {name}" for name in sorted(wanted - set(names))),
        *(f"does not belong there: {name}" for name in sorted(set(names) - wanted)),
        *(f"there twice: {name}" for name in sorted({name for name in names if names.count(name) > 1})),
    ]


if __name__ == "__main__":
    found = faults(Path(sys.argv[1]))
    print("\n".join(found) or f"{sys.argv[1]} holds every file once, under videorouter/ alone")
    sys.exit(bool(found))
