"""Prompts are files; the sha256 of a file's text is stored with every label made by it."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template

from videorouter.routers.answers import lettered

FOLDER = Path(__file__).with_name("prompts")


@dataclass(frozen=True)
class Prompt:
    """A prompt template by name; `hash` identifies its text."""

    name: str
    text: str

    @property
    def hash(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()

    def fill(self, values: Mapping[str, object]) -> str:
        """The text with its `$names` replaced; blank lines left by empty values are dropped."""
        filled = Template(self.text).substitute(values)
        return "\n".join(line for line in filled.splitlines() if line.strip())


def load_prompt(name: str) -> Prompt:
    """A shipped prompt. Raises `FileNotFoundError` naming what there is."""
    path = FOLDER / f"{name}.txt"
    if not path.is_file():
        raise FileNotFoundError(
            f"no prompt {name!r}; there are {', '.join(sorted(p.stem for p in FOLDER.glob('*.txt')))}"
        )
    return Prompt(name, path.read_text(encoding="utf-8"))


def options_block(options: Sequence[str] | None) -> str:
    """`Options:` and a lettered line each, or nothing."""
    return "\n".join(["Options:", *lettered(options)]) if options else ""
