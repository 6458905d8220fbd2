"""Library code logs; only command lines, and the modules that lay out what they print, write to the terminal."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("video", "shards", "routers", "data_builders", "train", "eval", "serve", "miniature", "videorouter")
PRINTS = {
    *(f"{package}/__main__.py" for package in PACKAGES),
    "videorouter/command_line.py",
    "videorouter/interruption.py",
    "videorouter/usage.py",
    "data_builders/commands.py",
    "train/preflight/check.py",
    "train/logs/progress_lines.py",
    "miniature/world/build.py",
    "miniature/teacher/server.py",
}
"""Command lines: their `main`, or the function that one of `miniature`'s commands names."""
LAYS_OUT = {
    "routers/answering/printing.py",
    "routers/cost/report.py",
    "data_builders/audit/agreement.py",
    "data_builders/building/estimate.py",
    "data_builders/building/rehearsal.py",
    "data_builders/building/reporting.py",
    "data_builders/building/turns.py",
    "data_builders/qtr/dry_run.py",
    "data_builders/qtr/outcomes.py",
    "data_builders/sources/conversion.py",
    "eval/running/printing.py",
    "eval/benchmarks/prepare.py",
}
"""Modules with a function that a command calls to print what it made, or what it waits for."""
COMMANDS_OF_THE_MINIATURE = ("miniature/pipeline/", "miniature/study/")


def printing(file: Path) -> bool:
    """Whether it calls `print` or `....print`."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            called = node.func
            if isinstance(called, ast.Name) and called.id == "print":
                return True
            if isinstance(called, ast.Attribute) and called.attr == "print":
                return True
    return False


def test_only_command_lines_print() -> None:
    found = {
        file.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for file in (ROOT / package).rglob("*.py")
        if not file.relative_to(ROOT / package).parts[0].startswith(".") and printing(file)
    }
    links = {f"videorouter/{package}/" for package in PACKAGES}
    own = {name for name in found if not any(name.startswith(link) for link in links)}
    against = {name for name in own - PRINTS - LAYS_OUT if not name.startswith(COMMANDS_OF_THE_MINIATURE)}
    assert not against, f"these log: logging.getLogger(__name__): {sorted(against)}"
    assert own >= LAYS_OUT, "named here, and prints nothing"
