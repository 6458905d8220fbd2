"""An annotation file written as our own format, once and for all, with a table of what became of it."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from videorouter.data_builders.rejects import write_rejects
from videorouter.data_builders.sources import Conversion, convert
from videorouter.shards.writer import write_atomically


def convert_file(path: Path, source: str, out: Path, split: str | None = None) -> Conversion:
    """Write the questions of an annotation file to `out`, as JSONL that `--source questions_jsonl` reads.

    What was left out goes to `NAME.rejects.jsonl` beside it. `split` is given to questions that have none. Raises
    `ValueError` for an unknown source, a file that is not there, or one whose place `out` would take.
    """
    done = convert(path, source)
    if out.exists() and out.samefile(path):
        raise ValueError(f"{out} is the annotation file itself: write the questions to another file")
    if split is not None:
        done.questions = [
            question if question.split else question.model_validate(question.model_dump() | {"split": split})
            for question in done.questions
        ]
    out.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(out, "".join(question.model_dump_json(exclude_none=True) + "\n" for question in done.questions))
    rejects = rejects_beside(out)
    if done.rejects:
        write_rejects(rejects, done.rejects)
    else:
        rejects.unlink(missing_ok=True)
    return done


def rejects_beside(out: Path) -> Path:
    """Where `convert_file` writes what it left out of `out`."""
    return out.with_name(f"{out.stem}.rejects.jsonl")


def print_conversions(conversions: Sequence[Conversion], console: Console | None = None) -> None:
    """A table with a line a file: rows, questions, spans clamped and dropped, rejects by verdict; then each source's licences."""
    table = Table(title="annotation files")
    table.add_column("file", overflow="fold")
    table.add_column("source", no_wrap=True)
    for name in ("rows", "questions", "clamped", "dropped"):
        table.add_column(name, justify="right")
    table.add_column("rejects")
    licences: dict[str, set[str]] = {}
    for done in conversions:
        counts = (len(done.questions), done.clamped, done.dropped)
        verdicts = Counter(reject.verdict for reject in done.rejects).most_common()
        licences.setdefault(done.source, set()).update(q.licence or "unstated" for q in done.questions)
        table.add_row(
            done.path.name,
            done.source,
            str(done.rows),
            *map(str, counts),
            ", ".join(f"{count} {verdict}" for verdict, count in verdicts) or "-",
        )
    console = console or Console(markup=False, highlight=False)
    console.print(table)
    for source, stated in licences.items():
        if stated:
            console.print(f"licence of {source}: {'; '.join(sorted(stated))}", soft_wrap=True)
