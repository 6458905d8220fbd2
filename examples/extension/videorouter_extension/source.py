"""An annotation format of one's own: a line a question, `id TAB video TAB question TAB answer`."""

from collections.abc import Iterator
from pathlib import Path

from videorouter import VideoQuestion
from videorouter.data_builders.sources.conversion import Source
from videorouter.data_builders.sources.rows import Malformed, Row


def rows(path: Path) -> Iterator[Row]:
    """The lines that are not empty, with their place in the file."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if line.strip():
            yield Row(f"{path.name}:{number}", number, line.split("\t"), line)


def questions(row: Row) -> Iterator[VideoQuestion]:
    """The question of a line. Raises `Malformed`, by which that line alone is put into quarantine."""
    if len(row.content) != 4:
        raise Malformed(f"four columns are expected, there are {len(row.content)}")
    name, video, question, answer = row.content
    yield VideoQuestion(
        id=name, video=video, question=question, answer=answer, task_type="open", source="tab_separated"
    )


SOURCE = Source(rows, questions)
