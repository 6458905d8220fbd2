"""Annotation files: which formats there are, their questions, and a file written as our own format with a table of its content.

A broken row never stops a file.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from videorouter.data_builders.rejects import Reject, write_rejects
from videorouter.data_builders.sources import activitynet, llava_video, moment_retrieval, nextqa, own_formats, tacos
from videorouter.data_builders.sources.checks import check_question
from videorouter.data_builders.sources.files import json_entries, json_lines, json_list_or_lines, writable
from videorouter.data_builders.sources.rows import LONGEST_RAW, Converted, Fix, Malformed, Row
from videorouter.registry import Registry
from videorouter.shards.schema import VideoQuestion
from videorouter.shards.writer import write_atomically


@dataclass(frozen=True)
class Source:
    """One annotation format.

    `rows` reads the rows of a file, unreadable ones as `Reject`s, and raises `Malformed` where it is no such file. `questions`
    converts a row, and raises `Malformed` or pydantic's `ValidationError` where it holds no question. `beside` names the
    files that are read with one, whether they are there or not: a build looks at their contents to know its questions again.
    """

    rows: Callable[[Path], Iterator[Row | Reject]]
    questions: Callable[[Row], Iterator[Converted]]
    beside: Callable[[Path], Sequence[Path]] = lambda path: ()


_OWN = {
    "questions_jsonl": Source(json_lines, own_formats.question_of_line),
    "llava_video": Source(json_list_or_lines, llava_video.questions),
    "nextqa": Source(nextqa.rows, nextqa.questions),
    "nextgqa": Source(nextqa.grounded_rows, nextqa.grounded_questions, nextqa.beside),
    "qvhighlights": Source(json_lines, moment_retrieval.qvhighlights_questions),
    "charades_sta": Source(moment_retrieval.charades_rows, moment_retrieval.charades_questions),
    "activitynet_qa": Source(activitynet.qa_rows, activitynet.qa_questions, activitynet.beside),
    "activitynet_captions": Source(json_entries, activitynet.caption_questions),
    "tacos": Source(json_entries, tacos.questions),
    "segments": Source(own_formats.segment_rows, own_formats.segment_questions),
    "video_pairs": Source(own_formats.video_pair_rows, own_formats.video_pair_questions),
}
SOURCES = Registry("videorouter.sources", "source", _OWN)
"""The formats by the name that `--source` gives them: ours, and those of installed packages (`videorouter.sources`)."""


@dataclass
class Conversion:
    """What became of a file's `rows`: questions (several a row in some formats), rejects, and what was changed."""

    path: Path
    source: str
    rows: int = 0
    questions: list[VideoQuestion] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    fixes: list[Fix] = field(default_factory=list)

    @property
    def clamped(self) -> int:
        """Spans that were cut to the length of their video."""
        return sum(fix.how == "clamped" for fix in self.fixes)

    @property
    def dropped(self) -> int:
        """Spans left out of questions that keep others; where none is left the question is a reject, `bad_span`."""
        return sum(fix.how == "dropped" for fix in self.fixes)

    @property
    def merged(self) -> int:
        """Options that stood twice in a published row, and are kept once."""
        return sum(fix.how == "merged" for fix in self.fixes)


def convert(path: Path, source: str, keep: Callable[[VideoQuestion], None] | None = None) -> Conversion:
    """All questions of an annotation file, in order, and what there is to say about the rest of it.

    A question id that occurs twice is kept once. With `keep` each question is given to it, and no list of them is made.
    Raises `ValueError` for an unknown source or a file that is not there.
    """
    source_format = SOURCES.named(source)
    if not path.is_file():
        raise ValueError(f"no annotation file at {path}")
    done = Conversion(path, source)
    keep = keep or done.questions.append
    seen: set[str] = set()
    try:
        for row in source_format.rows(path):
            done.rows += 1
            for item in _of_row(source_format, row):
                if isinstance(item, Fix):
                    done.fixes.append(item)
                elif isinstance(item, Reject):
                    done.rejects.append(_as_written(item))
                elif item.id in seen:
                    problem = f"question id occurs twice in {path.name}"
                    done.rejects.append(Reject(item.id, "source", "duplicate", problem))
                else:
                    seen.add(item.id)
                    keep(item)
    except Malformed as error:
        done.rejects.append(Reject(path.name, "source", error.verdict, str(error)))
    return done


def read_questions(path: Path, source: str) -> tuple[list[VideoQuestion], list[Reject]]:
    """The questions and the rejects of `convert`. Raises as it does."""
    done = convert(path, source)
    return done.questions, done.rejects


def questions_to_label(path: Path, source: str) -> tuple[list[VideoQuestion], list[Reject]]:
    """`read_questions` of a file that a build is about. Raises `ValueError` for one without any question, too."""
    questions, rejects = read_questions(path, source)
    if not questions:
        raise no_question(path, source, rejects)
    return questions, rejects


def no_question(path: Path, source: str, rejects: Sequence[Reject]) -> ValueError:
    """The error for a file without any question: how many rows are wrong, and how the first one is."""
    first = f", the first ({rejects[0].item}): {rejects[0].reason}" if rejects else ""
    return ValueError(f"{path} holds no question of {source}: {len(rejects)} rows are wrong{first}")


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
    """A table with a line a file: rows, questions, spans clamped and dropped, rejects by verdict.

    Then the first reject and its reason, options merged, licences.
    """
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
    for done in conversions:
        if done.rejects:
            first = done.rejects[0]
            console.print(f"{done.path.name}: the first left out, {first.item}: {first.reason}", soft_wrap=True)
        if done.merged:
            console.print(f"{done.path.name}: {done.merged} options that stood twice are kept once", soft_wrap=True)
    for source, stated in licences.items():
        if stated:
            console.print(f"licence of {source}: {'; '.join(sorted(stated))}", soft_wrap=True)


def _of_row(source_format: Source, row: Row | Reject) -> Iterator[Converted]:
    if isinstance(row, Reject):
        yield row
        return
    try:
        for item in source_format.questions(row):
            yield _checked(row, item) if isinstance(item, VideoQuestion) else item
    except ValidationError as error:
        yield Reject(row.where, "source", "malformed", _problems(error), row.raw[:LONGEST_RAW])
    except Malformed as error:
        yield Reject(row.where, "source", error.verdict, str(error), row.raw[:LONGEST_RAW])


def _checked(row: Row, question: VideoQuestion) -> Converted:
    """The question, or why it is none: the others of its row stay."""
    try:
        check_question(question)
    except Malformed as error:
        return Reject(row.where, "source", error.verdict, f"question {question.id}: {error}", row.raw[:LONGEST_RAW])
    return question


def _as_written(reject: Reject) -> Reject:
    """JSON may spell halves of characters, which no file can hold: they are replaced."""
    raw = None if reject.raw is None else writable(reject.raw)
    return replace(reject, item=writable(reject.item), reason=writable(reject.reason), raw=raw)


def _problems(error: ValidationError) -> str:
    return "; ".join(f"{'.'.join(map(str, e['loc'])) or 'row'}: {e['msg']}" for e in error.errors(include_url=False))
