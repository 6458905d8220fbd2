"""The checkout as seen from a folder of its own, so that commands of the documents leave the developer's `runs/` alone."""

import sys
from pathlib import Path

from tests.warm.process import WarmPython

ROOT = Path(__file__).parents[2]


def linked_checkout(folder: Path, warm: WarmPython | None = None) -> Path:
    """Links to all that is in the checkout, and a `.venv` that is installed already.

    Its programs run in this interpreter or, with `warm`, in processes forked from that one, and so do those that they start.
    """
    for entry in ROOT.iterdir():
        if entry.name not in {"runs", ".venv", ".git"}:
            (folder / entry.name).symlink_to(entry)
    programs = folder / ".venv" / "bin"
    programs.mkdir(parents=True)
    (folder / ".venv" / ".installed").touch()
    for name in ("python", "videorouter"):
        target = f'"{Path(sys.executable).parent / name}"'
        if warm is not None:
            target = f'"{warm.python}"' + (f" {target}" if name == "videorouter" else "")
        (programs / name).write_text(f'#!/bin/sh\nexec {target} "$@"\n')
        (programs / name).chmod(0o755)
    return folder
