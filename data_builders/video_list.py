"""Which videos a builder without questions works on: a list, or all that lie in the folder."""

import json
from pathlib import Path

from pydantic import BaseModel, ValidationError

from videorouter.data_builders.jobs import UNSPLIT
from videorouter.data_builders.rejects import Reject
from videorouter.data_builders.videos import EXTENSIONS
from videorouter.shards.schema import Split


class _Listed(BaseModel):
    """A line of a JSONL list; other fields are passed over, so that a file of questions is a list, too."""

    video: str
    split: Split | None = None


def list_videos(listed: Path | None, folder: Path) -> tuple[dict[str, str], list[Reject]]:
    """Split by video, in order, and the lines that name none.

    `listed` has a line a video: a path relative to `folder`, or a JSON object with `video` and perhaps `split`. Without it all
    files of `folder`, at any depth, that end like videos are taken. Raises `ValueError` where there is no video at all.
    """
    splits: dict[str, str] = {}
    rejects: list[Reject] = []
    if listed is None:
        found = (path for path in sorted(folder.rglob("*")) if path.suffix.lower() in EXTENSIONS)
        splits = {path.relative_to(folder).as_posix(): UNSPLIT for path in found}
    else:
        for number, line in enumerate(listed.read_text(encoding="utf-8").splitlines(), start=1):
            if not line.strip():
                continue
            try:
                row = _Listed.model_validate(
                    json.loads(line) if line.lstrip().startswith("{") else {"video": line.strip()}
                )
            except (ValueError, ValidationError) as error:
                rejects.append(Reject(f"{listed.name}:{number}", "source", "malformed", str(error), line[:2000]))
                continue
            split = row.split or UNSPLIT
            if splits.setdefault(row.video, split) != split:
                raise ValueError(
                    f"{listed}:{number}: video {row.video} is in splits {splits[row.video]} and {split}: leakage"
                )
    if not splits:
        raise ValueError(
            f"no video in {listed or folder}: give --video_list, or videos ending in {', '.join(EXTENSIONS)}"
        )
    return splits, rejects
