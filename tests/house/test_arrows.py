"""Imports run one way: a room imports only rooms below it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BELOW = {
    "video": set(),
    "shards": set(),
    "configs": set(),
    "routers": {"video", "configs"},
    "data_builders": {"video", "shards", "routers", "configs"},
    "train": {"video", "shards", "routers", "configs"},
    "eval": {"video", "shards", "routers", "configs"},
    "miniature": {"video", "shards", "routers", "data_builders", "train", "eval", "configs"},
}


def imported_rooms(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} imports relatively in line {node.lineno}"
            modules = [node.module or ""]
        yield from (room for module in modules if (room := module.split(".")[0]) in BELOW)


@pytest.mark.parametrize("room", BELOW)
def test_a_room_imports_only_rooms_below_it(room: str) -> None:
    files = sorted((ROOT / room).rglob("*.py"))
    assert files
    against = {
        f"{file.relative_to(ROOT)} -> {other}"
        for file in files
        for other in imported_rooms(file)
        if other != room and other not in BELOW[room]
    }
    assert not against


@pytest.mark.parametrize("room", sorted(set(BELOW) - {"configs"}))
def test_every_room_has_a_door(room: str) -> None:
    assert (ROOT / room / "__main__.py").is_file()


def test_no_file_is_named_after_nothing() -> None:
    vague = {"utils", "util", "helpers", "helper", "common", "misc"}
    assert not [path for room in BELOW for path in (ROOT / room).rglob("*") if path.stem in vague]


@pytest.mark.parametrize("room", BELOW)
def test_no_terminal_reads_what_it_prints_as_markup(room: str) -> None:
    """rich takes `[/a/path]` for a closing tag: consoles read no markup, styles are given apart."""
    for file in sorted((ROOT / room).rglob("*.py")):
        for call in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "Console":
                given = {word.arg: ast.unparse(word.value) for word in call.keywords}
                assert given.get("markup") == "False", f"{file.relative_to(ROOT)}:{call.lineno}"
