"""What ran, as the manifests of the runs say it."""

from collections.abc import Iterator
from typing import Any, Final

EXPECTED: Final = (
    "versions",
    "machine",
    "models",
    "seeds",
    "prompt",
    "frames",
    "sampler",
    "decoder",
    "dtype",
    "subtitles",
    "scoring",
)
"""What a reader needs; a manifest's key counts that holds one of these words, without the plural's s."""


def facts(manifest: dict[str, Any]) -> list[tuple[str, str]]:
    """Name and value of everything in a manifest, `machine.cpu` for what is nested; the expected names first."""
    found = list(_flat("", manifest))
    return sorted(
        found, key=lambda fact: next((n for n, word in enumerate(EXPECTED) if _names(word, fact[0])), len(EXPECTED))
    )


def unsaid(manifest: dict[str, Any]) -> list[str]:
    """What is expected and not there."""
    names = [name for name, _ in facts(manifest)]
    return [word for word in EXPECTED if not any(_names(word, name) for name in names)]


def _names(word: str, fact: str) -> bool:
    return word.rstrip("s") in fact.lower()


def _flat(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _flat(f"{name}.{key}" if name else str(key), inner)
    elif isinstance(value, list) and not any(isinstance(inner, dict | list) for inner in value):
        yield name, ", ".join(map(_plain, value)) or "none"
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _flat(f"{name}[{number}]", inner)
    elif name:
        yield name, _plain(value) if value != {} else "none"


def _plain(value: Any) -> str:
    return (
        {True: "yes", False: "no", None: "none"}.get(value, str(value))
        if isinstance(value, bool | None)
        else str(value)
    )
