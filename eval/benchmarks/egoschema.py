"""EgoSchema's public subset of 500 questions: `questions.json`, `subset_answers.json`, `videos/`."""

from pathlib import Path
from typing import Any, Final

from videorouter.eval.benchmarks.items import (
    Benchmark,
    Item,
    Published,
    RowError,
    VideoFiles,
    check_split,
    checked_options,
    checked_text,
    collected,
    json_list,
    read_json,
)

SPLITS: Final = ("subset",)
PUBLISHED: Final = Published(
    questions=(500,),
    videos=500,
    groups={"split": {"subset": 500}},
    source="lmms-lab/egoschema",
    archives=tuple(f"videos_chunked_{number:02d}.zip" for number in range(1, 6)),
)


def load(folder: Path, split: str, rows: str | None = None) -> Benchmark:
    """The questions whose answers are public. Raises `ValueError` for a folder of another layout."""
    check_split(split, SPLITS, "EgoSchema")
    if rows:
        raise ValueError("EgoSchema is read from questions.json and subset_answers.json alone: leave out the data set")
    for name in ("questions.json", "subset_answers.json"):
        if not (folder / name).is_file():
            raise ValueError(
                f"{folder} is not an EgoSchema folder: {name} is missing. Fetch it from github.com/egoschema/EgoSchema"
            )
    answers = read_json(folder / "subset_answers.json")
    if not isinstance(answers, dict):
        raise ValueError(f"{folder / 'subset_answers.json'} holds no answers by q_uid: fetch it again")
    videos = VideoFiles(folder, ("videos", "good_clips_git", "."))
    by_id = {
        row["q_uid"]: row for row in json_list(folder / "questions.json") if isinstance(row, dict) and "q_uid" in row
    }
    return collected(((uid, by_id.get(uid)) for uid in answers), lambda uid, row: _item(videos, uid, row, answers[uid]))


def _item(videos: VideoFiles, uid: str, row: dict[str, Any] | None, answer: Any) -> Item:
    if row is None:
        raise RowError("it is answered, but questions.json does not ask it")
    options = checked_options([row[f"option {place}"] for place in range(5)])
    if not 0 <= int(answer) < len(options):
        raise RowError(f"the answer {answer} is none of the {len(options)} options")
    return Item(
        id=uid,
        video=videos.path(uid),
        question=checked_text(row, "question"),
        options=options,
        answer=chr(ord("A") + int(answer)),
        groups={"split": "subset"},
    )
