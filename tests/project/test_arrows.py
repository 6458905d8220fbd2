"""Imports run one way: a package imports only packages below it, and all under the one import name."""

import ast
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from videorouter.__main__ import COMMANDS

ROOT = Path(__file__).parents[2]
BELOW = {
    "video": set(),
    "shards": set(),
    "routers": {"video", "shards"},
    "data_builders": {"video", "shards", "routers"},
    "train": {"video", "shards", "routers"},
    "eval": {"video", "shards", "routers"},
    "serve": {"video", "shards", "routers"},
    "miniature": {"video", "shards", "routers", "data_builders", "train", "eval", "serve"},
}
NARROW = {("routers", "shards"): {"videorouter.shards.policy"}}
"""Where only these modules of the package below may be imported: a policy is defined once, in the lowest package that names it."""
INSIDE = {
    "routers": ("backbones", "routing", "systems", "checkpoints", "cost", "answering", "__main__"),
}
"""Sub-packages from the lowest to the highest: each imports only itself and those before it."""
ANYWHERE = {"__version__", "command_line", "interruption", "json_files", "registry", "run_log", "usage"}
"""The version, and modules of `videorouter/` itself, which import no package."""


def imported_modules(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} imports relatively in line {node.lineno}"
            modules = [node.module or ""]
            if node.module == "videorouter":
                modules = [f"videorouter.{alias.name}" for alias in node.names]
        for module in modules:
            first, *rest = module.split(".")
            assert first not in BELOW, f"{file} imports {module} under its old name"
            if first == "videorouter" and rest:
                yield module


def imported_packages(file: Path) -> Iterator[str]:
    return (module.split(".")[1] for module in imported_modules(file))


@pytest.mark.parametrize("package", BELOW)
def test_a_package_imports_only_packages_below_it(package: str) -> None:
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    against = {
        f"{file.relative_to(ROOT)} -> {other}"
        for file in files
        for other in imported_packages(file)
        if other != package and other not in BELOW[package] | ANYWHERE
    }
    assert not against


@pytest.mark.parametrize(("upper", "lower"), NARROW)
def test_narrow_arrows_lead_to_the_modules_named_alone(upper: str, lower: str) -> None:
    used = {module for file in (ROOT / upper).rglob("*.py") for module in imported_modules(file)}
    assert {module for module in used if module.split(".")[1] == lower} == NARROW[upper, lower]


@pytest.mark.parametrize("package", INSIDE)
def test_inside_a_package_imports_run_one_way_too(package: str) -> None:
    order, against = INSIDE[package], set()
    files = sorted((ROOT / package).rglob("*.py"))
    assert {file.relative_to(ROOT / package).parts[0].removesuffix(".py") for file in files} == {*order, "__init__"}
    for file in files:
        own = file.relative_to(ROOT / package).parts[0].removesuffix(".py")
        for module in imported_modules(file):
            other = module.split(".")[2] if module.startswith(f"videorouter.{package}.") else own
            if own != "__init__" and order.index(other) > order.index(own):
                against.add(f"{file.relative_to(ROOT)} -> {module}")
    assert not against


@pytest.mark.parametrize("module", sorted(ANYWHERE - {"__version__"}))
def test_what_all_may_import_imports_nothing_but_the_like(module: str) -> None:
    assert set(imported_packages(ROOT / "videorouter" / f"{module}.py")) <= ANYWHERE


def test_tests_and_benchmarks_use_the_one_import_name() -> None:
    for file in [*(ROOT / "tests").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py")]:
        list(imported_packages(file))


@pytest.mark.parametrize("package", BELOW)
def test_every_package_has_a_command_and_a_link_and_its_init_holds_a_docstring_only(package: str) -> None:
    assert (ROOT / package / "__main__.py").is_file()
    assert package in COMMANDS
    link = ROOT / "videorouter" / package
    assert link.is_symlink()
    assert os.readlink(link) == f"../{package}"
    (docstring,) = ast.parse((ROOT / package / "__init__.py").read_text(encoding="utf-8")).body
    assert isinstance(docstring, ast.Expr)


def test_no_file_is_named_after_nothing() -> None:
    vague = {"utils", "util", "helpers", "helper", "common", "misc"}
    assert not [path for package in BELOW for path in (ROOT / package).rglob("*") if path.stem in vague]


@pytest.mark.parametrize("package", BELOW)
def test_no_terminal_reads_what_it_prints_as_markup(package: str) -> None:
    """rich takes `[/a/path]` for a closing tag: consoles read no markup, styles are given apart."""
    for file in sorted((ROOT / package).rglob("*.py")):
        for call in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "Console":
                given = {word.arg: ast.unparse(word.value) for word in call.keywords}
                assert given.get("markup") == "False", f"{file.relative_to(ROOT)}:{call.lineno}"
