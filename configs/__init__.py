"""The shipped YAML files, found both in a checkout and in an installed package, and how command lines name things."""

from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parent


def find(name: str | Path) -> Path:
    """Return the path of a config: an existing file as it is, else the shipped one of that name.

    `configs/train/image_router.yaml`, `train/image_router.yaml` and `train/image_router` name the same shipped file,
    so that a documented command line works from any folder. Raises `FileNotFoundError` listing what is shipped.
    """
    given = Path(name)
    if given.is_file():
        return given
    parts = given.parts[1:] if given.parts[:1] == ("configs",) else given.parts
    shipped = ROOT.joinpath(*parts)
    for candidate in (shipped, shipped.with_suffix(".yaml")):
        if candidate.is_file():
            return candidate
    raise FileNotFoundError(
        f"no config {str(name)!r}: neither a file nor shipped. Shipped: {', '.join(shipped_names())}"
    )


def shipped_names() -> list[str]:
    """Names of all shipped configs, such as `train/image_router.yaml`, sorted."""
    return sorted(path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.yaml"))


def located(arguments: list[str]) -> list[str]:
    """A command line in which the value of every `--config` is the path `find` gives for it."""
    found = list(arguments)
    for position, word in enumerate(found):
        if word == "--config" and position + 1 < len(found):
            found[position + 1] = str(find(found[position + 1]))
        elif word.startswith("--config="):
            found[position] = f"--config={find(word.removeprefix('--config='))}"
    return found


def underscored(arguments: Iterable[str]) -> list[str]:
    """A command line with `--max-usd 3` as `--max_usd 3`: both ways of writing an option are common, jsonargparse knows one."""
    return [_underscored(word) for word in arguments]


def _underscored(word: str) -> str:
    name, equals, value = word.partition("=")
    return "--" + name[2:].replace("-", "_") + equals + value if name.startswith("--") else word
