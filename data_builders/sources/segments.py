"""`NAME.segments.json` beside a video joined from clips: when each clip starts and ends. One question a clip."""

import json
import math
from collections.abc import Iterator
from pathlib import Path

from data_builders.rejects import Reject
from shards.schema import VideoQuestion

SUFFIX = ".segments.json"


def convert(path: Path) -> Iterator[VideoQuestion | Reject]:
    """`{"segments": [{"clip", "start", "end"}, ...]}` in seconds; the video is the file of the same name without suffix."""
    try:
        segments = json.loads(path.read_text(encoding="utf-8"))["segments"]
        if not isinstance(segments, list):
            raise TypeError("it is no list")
    except (ValueError, KeyError, TypeError) as error:
        yield Reject(path.name, "source", "malformed", f"no list `segments` in it ({error!r})")
        return
    for number, segment in enumerate(segments):
        where = f"{path.name}:{number}"
        try:
            clip, start, end = str(segment["clip"]), float(segment["start"]), float(segment["end"])
        except (KeyError, TypeError, ValueError) as error:
            yield Reject(
                where, "source", "malformed", f"clip, start or end is missing ({error!r})", json.dumps(segment)
            )
            continue
        if not 0 <= start < end < math.inf:
            yield Reject(
                where, "source", "bad_span", f"the span {start}-{end} s is empty or reversed", json.dumps(segment)
            )
            continue
        yield VideoQuestion(
            id=f"{path.name.removesuffix(SUFFIX)}-{number}",
            video=path.name.removesuffix(SUFFIX),
            question=f"Which part shows the clip {Path(clip).stem}?",
            task_type="clip_retrieval",
            evidence=[(start, end)],
            source="segments",
        )
