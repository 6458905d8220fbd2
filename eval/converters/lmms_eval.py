"""Files that lmms-eval writes with `--log_samples`: `*_samples_TASK.jsonl`, and `*_results.json` for what it says about the run."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from videorouter.eval.converters.foreign_answers import (
    VIDEO_NAMES,
    ForeignAnswer,
    Reading,
    UnreadableError,
    groups_of,
    letter_of,
)
from videorouter.routers.answering.prompt_parsing import extract_question

_SAMPLES: Final = re.compile(r"(?:^|_)samples_(.+)\.jsonl$")
_ABOUT: Final = ("config", "lmms_eval_version", "model_name", "model_source", "date", "git_hash", "results")


def read(files: Sequence[Path]) -> Reading:
    """Read samples files. Raises `ValueError` for a file of another name."""
    reading = Reading()
    for file in files:
        if file.name.endswith("results.json"):
            told = json.loads(file.read_text(encoding="utf-8"))
            reading.about[file.name] = {name: told[name] for name in _ABOUT if name in told}
        elif match := _SAMPLES.search(file.name):
            _read_samples(file, match[1], reading)
        else:
            raise ValueError(f"{file} is not a file of lmms-eval: give its *_samples_TASK.jsonl and *_results.json")
    return reading


def _read_samples(file: Path, task: str, reading: Reading) -> None:
    with file.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if not line.strip():
                continue
            reading.lines += 1
            try:
                reading.answers.append(_answer(json.loads(line), task))
            except json.JSONDecodeError:
                reading.broken["not JSON"] += 1
            except (KeyError, TypeError, AttributeError):
                reading.broken["not a sample of lmms-eval"] += 1
            except UnreadableError as reason:
                reading.broken[str(reason)] += 1


def _answer(row: dict[str, Any], task: str) -> ForeignAnswer:
    question, options = extract_question(row["input"])
    # What a task's process_results gave stands in the row itself: figures, or a dictionary under the metric's name.
    told = {name: value for metric in row.values() if isinstance(metric, dict) for name, value in metric.items()}
    video = next((str(told[name]) for name in VIDEO_NAMES if told.get(name)), None)
    answer = letter_of(str(row["target"]), options or ())
    return ForeignAnswer(
        id=f"{task}-{row['doc_id']}",
        video=video,
        question=question,
        options=options or (),
        answer=answer,
        groups=groups_of(told),
        text=_text(row["filtered_resps"]),
        right=_right(row, told),
    )


def _text(responses: Any) -> str | None:
    while isinstance(responses, list) and len(responses) == 1:
        responses = responses[0]
    if not isinstance(responses, str):
        raise UnreadableError("likelihoods or several answers instead of one text")
    return responses or None


_SCORES: Final = ("score", "acc", "accuracy", "exact_match", "correct")


def _right(row: dict[str, Any], told: dict[str, Any]) -> bool | None:
    """The toolkit's own judgement: a score of 0 or 1, or whether the answer it parsed is the right one."""
    figures = {name: value for name, value in row.items() if name != "doc_id" and isinstance(value, int | float)}
    for scores in (told, figures):
        found = [scores[name] for name in _SCORES if scores.get(name) in (0, 1)]
        if found:
            return bool(found[0])
    own = [value for value in figures.values() if value in (0, 1)]
    if len(own) == 1:
        return bool(own[0])
    parsed = told.get("pred_answer", told.get("parsed_pred"))
    right = told.get("answer", told.get("gt_answer"))
    if isinstance(parsed, str) and isinstance(right, str):
        return parsed.strip().casefold() == right.strip().casefold()
    return None
