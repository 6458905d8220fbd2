"""The checkout as seen from a folder of its own, so that commands of the documents leave the developer's `runs/` alone."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def linked_checkout(folder: Path) -> Path:
    """Links to all that is in the checkout, and a `.venv` that runs this interpreter and is installed already."""
    for entry in ROOT.iterdir():
        if entry.name not in {"runs", ".venv", ".git"}:
            (folder / entry.name).symlink_to(entry)
    (folder / ".venv" / "bin").mkdir(parents=True)
    (folder / ".venv" / ".installed").touch()
    for name in ("python", "videorouter"):
        target = Path(sys.executable).parent / name
        (folder / ".venv" / "bin" / name).write_text(f'#!/bin/sh\nexec "{target}" "$@"\n')
        (folder / ".venv" / "bin" / name).chmod(0o755)
    return folder
