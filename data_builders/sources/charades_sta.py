"""Charades-STA: lines `VIDEO START END##sentence`. The sentence is the query, the span its evidence."""

import math
import re
from collections.abc import Iterator
from pathlib import Path

from data_builders.rejects import Reject
from shards.schema import VideoQuestion

_LINE = re.compile(r"^(\S+) (\S+) (\S+)##(.+)$")


def convert(path: Path) -> Iterator[VideoQuestion | Reject]:
    """One question a line, `task_type` temporal_grounding; spans that are no numbers or reversed become `Reject`s."""
    with path.open(encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            where = f"{path.name}:{number}"
            match = _LINE.match(line.strip())
            if not match:
                yield Reject(where, "source", "malformed", "not of the form `VIDEO START END##sentence`", line.strip())
                continue
            video, sentence = match[1], match[4].strip()
            try:
                start, end = float(match[2]), float(match[3])
            except ValueError:
                yield Reject(where, "source", "malformed", "start and end are not numbers", line.strip())
                continue
            if not 0 <= start < end < math.inf:
                yield Reject(
                    where, "source", "bad_span", f"the span {start}-{end} s is empty or reversed", line.strip()
                )
                continue
            yield VideoQuestion(
                id=f"charades-{video}-{number}",
                video=video,
                question=sentence,
                task_type="temporal_grounding",
                evidence=[(start, end)],
                source="charades_sta",
                licence="Charades licence (non-commercial research)",
            )
