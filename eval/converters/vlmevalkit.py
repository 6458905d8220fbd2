"""Tables that VLMEvalKit writes of a video benchmark: `MODEL_DATASET.xlsx` or `.tsv`, also its `_score` tables."""

import ast
import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from videorouter.eval.converters.foreign_answers import ForeignAnswer, Reading, UnreadableError, groups_of, letter_of
from videorouter.routers.answering.prompt_parsing import OPTION_LINE

FAILED: Final = "Failed to obtain answer"
_COLUMNS: Final = ("index", "video", "question", "answer", "prediction")


def read(files: Sequence[Path]) -> Reading:
    """Read tables. Raises `ValueError` for one of another form, or a workbook where openpyxl is not installed."""
    reading = Reading()
    for file in files:
        rows = _rows(file)
        for row in rows:
            reading.lines += 1
            if lacking := [name for name in _COLUMNS if name not in row]:
                raise ValueError(f"{file} has no column {lacking[0]}: give a result table of VLMEvalKit")
            try:
                reading.answers.append(_answer(row, file.stem))
            except UnreadableError as reason:
                reading.broken[str(reason)] += 1
    return reading


def _rows(file: Path) -> Iterator[dict[str, Any]]:
    if file.suffix == ".tsv":
        csv.field_size_limit(2**31 - 1)
        with file.open(encoding="utf-8", errors="replace", newline="") as lines:
            yield from csv.DictReader(lines, delimiter="\t")
    elif file.suffix == ".xlsx":
        yield from _workbook(file)
    else:
        raise ValueError(f"{file} is neither .xlsx nor .tsv: give a result table of VLMEvalKit")


def _workbook(file: Path) -> Iterator[dict[str, Any]]:
    try:
        from openpyxl import load_workbook
    except ImportError as error:
        raise ValueError(f"{file} is a workbook: install videorouter[xlsx], or write it as .tsv") from error
    rows = load_workbook(file, read_only=True, data_only=True).worksheets[0].iter_rows(values_only=True)
    header = [str(name) for name in next(rows, ())]
    for row in rows:
        yield {name: "" if value is None else value for name, value in zip(header, row, strict=False)}


def _answer(row: dict[str, Any], table: str) -> ForeignAnswer:
    if any(row[name] in (None, "") for name in _COLUMNS if name != "prediction"):
        raise UnreadableError("a column is empty")
    options = _options(row)
    text = str(row["prediction"] or "")
    return ForeignAnswer(
        id=str(row["index"]),
        video=str(row["video"]),
        question=str(row["question"]),
        options=options,
        answer=letter_of(str(row["answer"]), options),
        groups=groups_of(row),
        text=None if not text or text == "nan" or FAILED in text else text,
        right=_right(row),
    )


def _options(row: dict[str, Any]) -> tuple[str, ...]:
    """Of the list in `candidates` or `options`, or of the columns A, B, C, ...; without letters of their own."""
    written = row.get("candidates") or row.get("options")
    if written:
        try:
            options = [str(option) for option in ast.literal_eval(str(written))]
        except (ValueError, SyntaxError, TypeError) as error:
            raise UnreadableError("the options are no list") from error
    else:
        columns = [str(row.get(letter) or "") for letter in "ABCDEFGHIJ"]
        options = columns[: next((place for place, option in enumerate(columns) if not option), len(columns))]
    lettered = [OPTION_LINE.match(option) for option in options]
    if all(m and (m[1] or m[2]) == chr(ord("A") + place) for place, m in enumerate(lettered)):
        options = [m[3] for m in lettered if m]
    return tuple(options)


def _right(row: dict[str, Any]) -> bool | None:
    for name in ("hit", "score"):
        try:
            value = float(row.get(name, ""))
        except ValueError:
            continue
        if value in (0, 1):
            return bool(value)
    return None
