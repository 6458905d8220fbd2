"""LLaVA-Video-178K: rows `{id, video, data_source, conversations}` in a JSON list or JSONL. One question a pair of turns.

Assumed of the format:

* `conversations` are turns `{"from": "human" | "gpt", "value"}` in pairs. Each pair is a question of its own: what was said before
  is not needed to understand it. `<image>` and `<video>` are placeholders, and dropped.
* Multiple choice has its options after the question, as `written_options` finds them: line by line or in line. The reply is a
  letter, with or without the option; where options are in line, a reply that chooses none says that they were running text.
* `id` names a video, not a question: rows of several files and of the same file share it.
* Captions have the same rows; they are recognised by the name of their file, which the data set's card gives as `*cap*.json`, or by
  an id or `data_source` with `cap` between its underscores.
* `video` is relative to where the archives of all parts were unpacked together.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from videorouter.data_builders.rejects import Reject
from videorouter.data_builders.sources.files import as_raw
from videorouter.data_builders.sources.option_text import written_options
from videorouter.data_builders.sources.rows import Converted, Malformed, Row
from videorouter.routers.answering.parser import parse_choice
from videorouter.routers.systems.query import letters
from videorouter.shards.schema import VideoQuestion

LICENCE = "Apache-2.0, academic research and education only, OpenAI usage policy (LLaVA-Video-178K's dataset card)"
_PLACEHOLDER = re.compile(r"<(?:image|video)>")
_CAPTION = re.compile(r"(?:^|[_-])cap(?:tions?)?(?:[_-]|$)")


def questions(row: Row) -> Iterator[Converted]:
    """The pairs of a row; `task_type` multiple_choice, open_ended or caption. A pair that is none is a `Reject`.

    Raises `Malformed` where the row itself is not what it should be.
    """
    name, video, part = row.text("id"), row.text("video"), row.text("data_source")
    turns = row.items("conversations")
    file = Path(row.where.rpartition(":")[0]).stem
    captions = any(_CAPTION.search(text) for text in (file, name, part))
    if not turns:
        raise Malformed("`conversations` is empty")
    for number in range(0, len(turns), 2):
        try:
            asked, answer = _said(turns, number, "human"), _said(turns, number + 1, "gpt")
            question, options = (asked, None) if captions else _choices(asked, answer)
            if options is not None:
                answer = _chosen(answer, options)
        except Malformed as error:
            where = f"{row.where}, turns {number + 1}-{number + 2}"
            yield Reject(where, "source", error.verdict, str(error), as_raw(turns[number : number + 2]))
            continue
        task = "caption" if captions else "multiple_choice" if options else "open_ended"
        yield VideoQuestion(
            id=f"llava_video-{part}-{task}-{name}-{row.number}-{number // 2}",
            video=video,
            question=question,
            options=options,
            answer=answer,
            task_type=task,
            source="llava_video",
            licence=LICENCE,
        )


def _said(turns: list[Any], number: int, speaker: str) -> str:
    turn = turns[number] if number < len(turns) else None
    if not isinstance(turn, dict) or turn.get("from") != speaker or not isinstance(turn.get("value"), str):
        raise Malformed(f"a turn of {speaker} is expected")
    text = _PLACEHOLDER.sub("", turn["value"]).strip()
    if not text:
        raise Malformed(f"the turn of {speaker} is empty")
    return text


def _choices(asked: str, reply: str) -> tuple[str, list[str] | None]:
    """The question and its options, None where it has none. Raises `Malformed` for options without a question."""
    written = written_options(asked)
    if written is None or (written.in_line and parse_choice(reply, written.options) is None):
        return asked, None
    if not written.question:
        raise Malformed("options without a question before them")
    return written.question, written.options


def _chosen(answer: str, options: list[str]) -> str:
    letter = parse_choice(answer, options)
    if letter is None:
        raise Malformed(f"the reply {answer!r} chooses none of the options {options}")
    return options[letters(options).index(letter)]
