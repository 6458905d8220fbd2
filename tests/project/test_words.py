"""Words that a stranger would have to guess (CONTRIBUTING.md, Words) appear in no document, message, docstring or test name."""

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("video", "shards", "routers", "data_builders", "train", "eval", "miniature", "videorouter")
DOCUMENTS = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *(ROOT / name for name in ("Makefile", "pyproject.toml", ".ci/run")),
    *sorted((ROOT / ".github").rglob("*.y*ml")),
    *sorted((ROOT / "configs").rglob("*.yaml")),
    *sorted(path for path in (ROOT / "examples").rglob("*") if path.suffix in {".md", ".toml", ".yaml"}),
    *sorted((ROOT / "eval" / "report").glob("*.html")),
]
SOURCES = sorted(
    path for folder in (*PACKAGES, "benchmarks", "examples") for path in (ROOT / folder).rglob("*.py")
)  # rglob follows none of the links in videorouter/
TESTS = sorted((ROOT / "tests").rglob("*.py"))

ALLOWED = (
    ("*.md", r"`house`"),  # the prompt's name, which run folders hold
    (
        "eval/running/prompts.py",
        r"house",
    ),  # the same, where it is defined; no other string or comment of this file uses it
    ("*.md", r"has room for"),  # space
    ("*.py", r"make room"),  # on a disk
)
"""(path, pattern) of the literal uses that remain, each with its reason."""


class Use(NamedTuple):
    """A word that must not be used, where it is, and what to say instead."""

    line: int
    word: str
    say: str


def table(contributing: str) -> dict[str, str]:
    """What to say, by each word of the table's second column."""
    rows = re.findall(r"^\| (.+) \| (.+) \|$", contributing.split("\n## Words\n")[1], re.MULTILINE)
    assert rows[:2] == [("say", "not"), ("---", "---")]
    return {word.strip(): say for say, words in rows[2:] for word in words.split(",")}


WORDS = table((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))


def uses(text: str, path: str) -> Iterator[Use]:
    """The words of the table in `text`, also across line breaks, but for what is allowed in the file `path`."""
    for pattern in (pattern for files, pattern in ALLOWED if PurePath(path).match(files)):
        text = re.sub(pattern.replace(" ", r"\s+"), lambda found: re.sub(r"\S", " ", found[0]), text)
    for word, say in WORDS.items():
        pattern = r"\s+".join(map(re.escape, word.split()))
        for found in re.finditer(rf"\b{pattern}\b", text, re.IGNORECASE):
            yield Use(text.count("\n", 0, found.start()) + 1, word, say)


def prose(source: str, strings: bool) -> str:
    """Python source with everything blank but comments, docstrings, names of functions and classes and, if asked for, `strings`."""
    lines = source.splitlines()
    kept = [[" "] * len(line) for line in lines]

    def keep(row: int, column: int, text: str) -> None:
        for number, part in enumerate(text.split("\n")):
            start = column if number == 0 else 0
            kept[row + number - 1][start : start + len(part)] = part

    tree = ast.parse(source)
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    bare = {  # docstrings, those below a constant included
        node.lineno for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        row, column = token.start
        if token.type == tokenize.COMMENT:
            keep(row, column, token.string.replace("#", " "))
        elif token.type == tokenize.STRING and (strings or row in bare):
            text = token.string
            if "f" in text[: text.index(text[-1])].lower():  # before Python 3.12 an f-string is one token
                text = re.sub(r"\{[^{}]*\}", lambda found: " " * len(found[0]), text)
            keep(row, column, re.sub(r"^\w*['\"]+|['\"]+$", lambda found: " " * len(found[0]), text))
        elif sys.version_info >= (3, 12) and token.type == tokenize.FSTRING_MIDDLE and strings:
            keep(row, column, token.string)
    for node in ast.walk(tree):
        if isinstance(node, documented[1:]):
            column = lines[node.lineno - 1].index(node.name)
            keep(node.lineno, column, node.name.replace("_", " "))
    return "\n".join(map("".join, kept))


def problems(path: Path, text: str) -> list[str]:
    name = path.relative_to(ROOT).as_posix()
    return [f"{name}:{use.line}: '{use.word}': say {use.say}" for use in uses(text, name)]


def test_documents_use_plain_words() -> None:
    found = []
    for path in DOCUMENTS:
        text = path.read_text(encoding="utf-8")
        if path.name == "CONTRIBUTING.md":
            text = re.sub(r"^\|.*\|$", "", text, flags=re.MULTILINE)
        found += problems(path, text)
    assert not found, "\n" + "\n".join(found)


def test_messages_docstrings_and_comments_use_plain_words() -> None:
    found = [line for path in SOURCES for line in problems(path, prose(path.read_text(encoding="utf-8"), strings=True))]
    assert not found, "\n" + "\n".join(found)


def test_tests_are_named_and_described_in_plain_words() -> None:
    """Their strings are left out: questions about videos may speak of real doors and rooms."""
    checked = [path for path in TESTS if path != Path(__file__)]
    found = [
        line for path in checked for line in problems(path, prose(path.read_text(encoding="utf-8"), strings=False))
    ]
    assert not found, "\n" + "\n".join(found)


def test_there_is_much_to_check() -> None:
    assert len(DOCUMENTS) > 30
    assert len(SOURCES) > 200
    assert {
        "house",
        "rooms",
        "door",
        "stayed away",
        "no number",
        "in company",
        "taken up",
        "gone on with",
    } <= WORDS.keys()


@pytest.mark.parametrize("word", WORDS)
def test_each_word_is_found(word: str) -> None:
    broken = word.replace(" ", "\n    ")
    document = f"A plain line.\nIt is {word.capitalize()}, they say, or {broken}."
    assert [use.line for use in uses(document, "docs/new.md") if use.word == word] == [2, 2]
    source = (
        f'"""First.\n\n    {broken}\n"""\n'
        f"value = 1  # {word}\n"
        f'raise ValueError(f"{{value}} is {word}")\n'
        f"def test_{word.replace(' ', '_')}(): ...\n"
    )
    lines = source.splitlines()
    first = next(number for number, line in enumerate(lines, 1) if word.split()[0] in line)
    place = next(number for number, line in enumerate(lines, 1) if line.startswith("value"))
    found = [use.line for use in uses(prose(source, strings=True), "routers/new.py") if use.word == word]
    assert sorted(found) == [first, place, place + 1, place + 2]


def test_what_is_allowed_is_not_found_and_no_more() -> None:
    assert not list(uses("the prompt named `house`, the budget has\nroom for fourteen", "docs/new.md"))
    assert not list(uses("make room or choose another --out", "routers/new.py"))
    assert [use.word for use in uses("the house's own", "docs/new.md")] == ["house"]
    assert [use.word for use in uses("a room imports only rooms below it", "routers/new.py")] == ["room", "rooms"]


@pytest.mark.parametrize(("files", "pattern"), ALLOWED)
def test_every_exception_is_used(files: str, pattern: str) -> None:
    texts = [path.read_text(encoding="utf-8") for path in (*DOCUMENTS, *SOURCES) if path.relative_to(ROOT).match(files)]
    assert any(re.search(pattern.replace(" ", r"\s+"), text) for text in texts)
