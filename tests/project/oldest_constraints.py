"""pip constraints of `make test-oldest`: the oldest releases that pyproject.toml admits of what changes most under this project.

Printed on standard output. Everything else is as in constraints.txt, except what these releases bind themselves.
"""

import re
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
OLDEST: Final = ("torch", "transformers", "pytorch-lightning", "av")
BOUND: Final = ("setuptools", "tokenizers", "huggingface_hub", "hf-xet")
"""Packages for which an old torch or transformers sets an upper bound of its own."""


def constraints() -> list[str]:
    """A line a package, in the form of constraints.txt."""
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    newest = (ROOT / "constraints.txt").read_text(encoding="utf-8").split()
    others = [line for line in newest if line.split("==")[0] not in (*OLDEST, *BOUND)]
    return [*(f"{name}=={lower_bound(name, wanted)}" for name in OLDEST), *others]


def lower_bound(package: str, requirements: Iterable[str]) -> str:
    """`2.6` in `package>=2.6,<2.7` is the release 2.6.0. Raises `ValueError` where no requirement says so."""
    for requirement in requirements:
        if found := re.match(rf"{re.escape(package)}(?:\[.*?\])?>=([0-9.]+)", requirement):
            return ".".join([*found[1].split("."), "0", "0"][:3])
    raise ValueError(f"pyproject.toml: no lower bound of {package}: write {package}>=X.Y")


if __name__ == "__main__":
    sys.stdout.write("\n".join(constraints()) + "\n")
