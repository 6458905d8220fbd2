"""What every command line shares: shipped configs found by name, and options written with dashes or underscores."""

from collections.abc import Iterable
from pathlib import Path

CONFIGS = Path(__file__).parent / "configs"


def find_config(name: str | Path) -> Path:
    """Return the path of a config: an existing file as it is, else the shipped one of that name.

    `configs/train/image_router.yaml`, `train/image_router.yaml` and `train/image_router` name the same shipped file,
    so that a documented command line works from any folder. Raises `FileNotFoundError` listing what is shipped.
    """
    given = Path(name)
    if given.is_file():
        return given
    parts = given.parts[1:] if given.parts[:1] == ("configs",) else given.parts
    shipped = CONFIGS.joinpath(*parts)
    for candidate in (shipped, shipped.with_suffix(".yaml")):
        if candidate.is_file():
            return candidate
    raise FileNotFoundError(
        f"no config {str(name)!r}: neither a file nor shipped. Shipped: {', '.join(shipped_configs())}"
    )


def shipped_configs() -> list[str]:
    """Names of all shipped configs, such as `train/image_router.yaml`, sorted."""
    return sorted(path.relative_to(CONFIGS).as_posix() for path in CONFIGS.glob("*/*.yaml"))


def with_config_paths(arguments: list[str]) -> list[str]:
    """A command line in which the value of every `--config` is the path `find_config` gives for it."""
    found = list(arguments)
    for position, word in enumerate(found):
        if word == "--config" and position + 1 < len(found):
            found[position + 1] = str(find_config(found[position + 1]))
        elif word.startswith("--config="):
            found[position] = f"--config={find_config(word.removeprefix('--config='))}"
    return found


def underscored(arguments: Iterable[str]) -> list[str]:
    """A command line with `--max-usd 3` as `--max_usd 3`: both ways of writing an option are common, jsonargparse knows one."""
    return [_underscored(word) for word in arguments]


def _underscored(word: str) -> str:
    name, equals, value = word.partition("=")
    return "--" + name[2:].replace("-", "_") + equals + value if name.startswith("--") else word
