"""`eval prepare`: whether a benchmark's folder is complete, and which files to fetch if not. Nothing is downloaded."""

import zipfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from videorouter.eval.benchmarks.items import Item, Published
from videorouter.eval.benchmarks.registry import LOADERS, PUBLIC

SHOWN = 5


@dataclass(frozen=True)
class GroupCount:
    """How many questions of one value of a dimension are there; `published` is None where no count is published."""

    dimension: str
    value: str
    found: int
    published: int | None


@dataclass(frozen=True)
class Readiness:
    """What a benchmark's folder holds. `questions` counts wrong rows, too; `fetch` says what to do about what is missing."""

    benchmark: str
    folder: str
    questions: int
    published_questions: list[int]
    groups: list[GroupCount]
    wrong: list[dict[str, str]]
    videos: int
    published_videos: int | None
    missing_videos: list[str]
    subtitles: int
    fetch: list[str]

    @property
    def complete(self) -> bool:
        return not self.fetch


def inspect(benchmark: str, folder: Path, split: str | None = None, rows: str | None = None) -> Readiness:
    """Check a folder. Raises `ValueError` for an unknown benchmark or a folder that holds another."""
    if benchmark not in PUBLIC:
        others = f"; {benchmark} is made, not fetched" if benchmark in LOADERS else ""
        raise ValueError(f"cannot prepare {benchmark!r}: there are {', '.join(PUBLIC)}{others}")
    module = PUBLIC[benchmark]
    published: Published = module.PUBLISHED
    loaded = module.load(folder, split or module.SPLITS[0], rows)
    if not loaded.items:
        first = f", the first ({loaded.wrong[0].id}): {loaded.wrong[0].reason}" if loaded.wrong else ""
        raise ValueError(f"{folder} holds no question of {benchmark}: {len(loaded.wrong)} rows are wrong{first}")
    videos = sorted({item.video for item in loaded.items})
    missing = [video for video in videos if not video.is_file()]
    total = len(loaded.items) + len(loaded.wrong)
    subtitles = len({item.video for item in loaded.items if item.subtitles})
    return Readiness(
        benchmark=benchmark,
        folder=str(folder),
        questions=total,
        published_questions=list(published.questions),
        groups=_groups(loaded.items, published),
        wrong=[asdict(row) for row in loaded.wrong],
        videos=len(videos),
        published_videos=published.videos,
        missing_videos=[str(video) for video in missing],
        subtitles=subtitles,
        fetch=[
            *_questions_to_fetch(total, published),
            *_videos_to_fetch(folder, missing, published),
            *_subtitles_to_fetch(folder, subtitles, published),
        ],
    )


def prepare(benchmark: str, data: Path, split: str | None = None, rows: str | None = None, json: bool = False) -> int:
    """Print what `inspect` finds, as JSON or as tables. The exit code: 0 where everything is there, 3 where it is not."""
    readiness = inspect(benchmark, data, split, rows)
    if json:
        from json import dumps

        print(dumps({**asdict(readiness), "complete": readiness.complete}, indent=2))
    else:
        _print(readiness, Console(markup=False))
    return 0 if readiness.complete else 3


def _groups(items: Sequence[Item], published: Published) -> list[GroupCount]:
    counts: dict[str, Counter[str]] = {}
    for item in items:
        for dimension, value in item.groups.items():
            counts.setdefault(dimension, Counter())[value] += 1
    return [
        GroupCount(dimension, value, found[value], published.groups.get(dimension, {}).get(value))
        for dimension, found in counts.items()
        for value in dict.fromkeys([*published.groups.get(dimension, {}), *sorted(found)])
    ]


def _questions_to_fetch(total: int, published: Published) -> list[str]:
    if total >= min(published.questions):
        return []
    return [
        f"{total} of {published.questions[0]} questions are there: fetch the question files of {published.source} again"
    ]


def _videos_to_fetch(folder: Path, missing: Sequence[Path], published: Published) -> list[str]:
    """Archives that are there but not unpacked, by name; then those to download."""
    steps: list[str] = []
    left = {video.stem: video for video in missing}
    present = [name for name in published.archives if (folder / name).is_file()]
    for name in present:
        try:
            with zipfile.ZipFile(folder / name) as archive:
                inside = {Path(member).stem for member in archive.namelist()} & left.keys()
        except (zipfile.BadZipFile, OSError):
            steps.append(f"fetch {name} of {published.source} again: the file is damaged")
            continue
        if inside:
            steps.append(f"unpack {name} in {folder}: it holds {len(inside)} of the missing videos")
            left = {stem: video for stem, video in left.items() if stem not in inside}
    if not left:
        return steps
    absent = [name for name in published.archives if name not in present]
    if absent:
        steps.append(
            f"fetch {', '.join(absent)} of {published.source}, and unpack them in {folder}: "
            f"{len(left)} videos are in none of the archives that are there"
        )
    elif published.fetch:
        by_place = Counter(str(video.parent.relative_to(folder)) for video in left.values())
        places = ", ".join(f"{count} in {place}" for place, count in sorted(by_place.items()))
        steps.append(f"{len(left)} videos are missing ({places}): {published.fetch}; source: {published.source}")
    else:
        steps.append(f"{len(left)} videos are in no archive of {published.source}: {', '.join(sorted(left)[:SHOWN])}")
    return steps


def _subtitles_to_fetch(folder: Path, found: int, published: Published) -> list[str]:
    if published.subtitles is None or found:
        return []
    verb = "unpack" if (folder / published.subtitles).is_file() else f"fetch and unpack {published.source}'s"
    return [f"{verb} {published.subtitles} in {folder}: no subtitles are there"]


def _print(readiness: Readiness, console: Console) -> None:
    published = " or ".join(map(str, readiness.published_questions))
    table = Table(title=f"{readiness.benchmark}: {readiness.questions} questions, {published} are published")
    for column in ("dimension", "value"):
        table.add_column(column)
    for column in ("found", "published"):
        table.add_column(column, justify="right")
    for group in readiness.groups:
        expected = "" if group.published is None else str(group.published)
        differs = group.published not in (None, group.found)
        table.add_row(group.dimension, group.value, str(group.found), expected, style="yellow" if differs else None)
    console.print(table)
    of = f" ({readiness.published_videos} are published)" if readiness.published_videos else ""
    missing = len(readiness.missing_videos)
    console.print(
        f"{readiness.videos - missing} of {readiness.videos} videos{of}, {readiness.subtitles} with subtitles"
    )
    if missing:
        console.print(f"missing, first of {missing}: {', '.join(readiness.missing_videos[:SHOWN])}", soft_wrap=True)
    if readiness.wrong:
        console.print(f"{len(readiness.wrong)} rows are wrong and left out (all of them with --json):")
        for row in readiness.wrong[: 4 * SHOWN]:
            console.print(f"  {row['id']}: {row['reason']}", markup=False, soft_wrap=True)
    for step in readiness.fetch:
        console.print(f"to do: {step}", markup=False, soft_wrap=True)
    if readiness.complete:
        console.print("Everything is there.")
