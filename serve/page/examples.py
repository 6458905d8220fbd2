"""Questions that lie beside the videos of the media root, for the page to offer (ours)."""

import logging
from collections import defaultdict
from pathlib import Path
from typing import Any, Final

from videorouter.json_files import read_json_lines

FILE: Final = "questions.jsonl"
"""In the media root; a row is {"video", "question", "options", "answer"}, the last two optional, `video` as the page lists it."""
MOST_BYTES: Final = 16_000_000
MOST_EACH: Final = 12
_log = logging.getLogger(__name__)


def with_examples(videos: list[dict[str, Any]], media_root: Path | None) -> list[dict[str, Any]]:
    """The listed videos, each with `questions` where there are some. A file that is damaged or too large gives none."""
    if media_root is None or not videos:
        return videos
    path = media_root / FILE
    try:
        if not path.is_file() or path.stat().st_size > MOST_BYTES:
            return videos
        by_video = _read(path)
    except (OSError, ValueError) as error:
        _log.warning("no example questions: %s", error)
        return videos
    return [video | {"questions": by_video[video["name"]]} if video["name"] in by_video else video for video in videos]


def _read(path: Path) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in read_json_lines(path):
        video, question, options, answer = (row.get(name) for name in ("video", "question", "options", "answer"))
        if not isinstance(video, str) or not isinstance(question, str) or len(found[video]) >= MOST_EACH:
            continue
        example: dict[str, Any] = {"question": question}
        if isinstance(options, list) and all(isinstance(option, str) for option in options):
            example["options"] = options
        if isinstance(answer, str):
            example["answer"] = answer
        found[video].append(example)
    return found
