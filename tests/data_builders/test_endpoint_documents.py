"""What the documents say of endpoints is what the tests try, and what the command line takes."""

import re
import shlex
from pathlib import Path

import pytest

from tests.loopback.endpoint.document import in_document, table
from tests.loopback.endpoint.modes import FAMILIES, MODES
from videorouter.data_builders.__main__ import parser
from videorouter.data_builders.teacher.config import TeacherConfig

BUILDING = (Path(__file__).parents[2] / "docs" / "building-datasets.md").read_text(encoding="utf-8")
TEACHERS = [
    line
    for block in re.findall(r"```console\n(.*?)```", BUILDING, re.DOTALL)
    for line in block.splitlines()
    if line.startswith("--teacher.")
]


def test_the_table_of_endpoints_is_the_one_that_is_tried() -> None:
    assert in_document() == table(), "python -m tests.loopback.endpoint.document writes it"


def test_there_are_at_least_sixty_ways_to_misbehave_each_of_its_own_name() -> None:
    assert len(MODES) == sum(map(len, FAMILIES.values())) >= 60


@pytest.mark.parametrize("line", TEACHERS)
def test_the_options_of_every_teacher_in_the_document_are_taken(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "k")
    build = ["flr", "annotate", "--questions", "q.jsonl", "--videos", str(tmp_path), "--out", "out", *shlex.split(line)]
    options = parser().parse_args(build).flr.annotate.as_dict()
    config = TeacherConfig(**options["teacher"])
    assert f"--teacher.model {config.model}" in line
    assert config.base_url in line


def test_vendors_and_engines_of_ones_own_are_among_them() -> None:
    text = " ".join(TEACHERS)
    for address in (
        "api.openai.com",
        "generativelanguage.googleapis.com",
        "openai.azure.com",
        "openrouter.ai",
        "127.0.0.1",
    ):
        assert address in text
