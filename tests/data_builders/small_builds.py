"""Builds that take a second: many names for one short video, four tiny frames, questions that name their video."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from videorouter.data_builders.__main__ import main
from videorouter.data_builders.building.ledger import Ledger

FRAMES = ["--frames", "4", "--frame_size", "56"]


def make_videos(world: Path, folder: Path, count: int) -> Path:
    """`v00.mp4`, `v01.mp4`, ..."""
    folder.mkdir()
    source = sorted((world / "videos").iterdir())[0]
    for number in range(count):
        (folder / f"v{number:02d}.mp4").hardlink_to(source)
    return folder


def write_questions(path: Path, videos: Path, each: int, more: Mapping[str, int]) -> Path:
    """`each` questions about every video, or as many as `more` says, with the answer that the scripted teacher gives."""
    rows = [
        {
            "id": f"{video.stem}-{number}",
            "video": video.name,
            "question": f"What appears in {video.stem}, part {number}?",
            "answer": "a star",
            "task_type": "t",
            "source": "s",
        }
        for video in sorted(videos.iterdir())
        for number in range(more.get(video.stem, each))
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


class SmallBuild:
    """The command of a builder over such videos; `run` gives its exit code."""

    def __init__(
        self, world: Path, folder: Path, videos: int = 12, each: int = 1, more: Mapping[str, int] = MappingProxyType({})
    ) -> None:
        self.folder = folder
        self.videos = make_videos(world, folder / "videos", videos)
        self.questions = write_questions(folder / "questions.jsonl", self.videos, each, more)

    def run(self, url: str, out: str, *options: str, builder: tuple[str, ...] = ("flr", "annotate")) -> int:
        return main(self.command(url, out, *options, builder=builder))

    def begin(self, url: str, out: str, *options: str, builder: tuple[str, ...]) -> subprocess.Popen[bytes]:
        """As `run`, in a process group of its own."""
        arguments = self.command(url, out, *options, builder=builder)
        return subprocess.Popen(
            [sys.executable, "-m", "videorouter.data_builders", *arguments],
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def command(self, url: str, out: str, *options: str, builder: tuple[str, ...] = ("flr", "annotate")) -> list[str]:
        """The arguments."""
        about = [] if builder[-1] == "generate" else ["--questions", str(self.questions)]
        arguments = [*builder, *about, "--videos", str(self.videos), *FRAMES, "--teacher.base_url", url]
        arguments += ["--tied", "global"] if builder[-1] == "qtr" else []
        arguments += ["--videos_per_shard", "1", "--out", str(self.folder / out), "--teacher.concurrency", "2"]
        return [*arguments, *options]

    def shards(self, out: str) -> dict[str, bytes]:
        """The bytes of all shards and of the manifest."""
        folder = self.folder / out
        return {path.name: path.read_bytes() for path in sorted([*folder.glob("*.tar"), *folder.glob("manifest.json")])}

    def quarantine(self, out: str) -> dict[str, str]:
        """The verdict of every item put aside."""
        rows = map(json.loads, (self.folder / out / "quarantine.jsonl").read_text().splitlines())
        return {row["item"]: row["verdict"] for row in rows}

    def paid(self, out: str) -> int:
        """Requests that the run folder counts as paid."""
        return Ledger(self.folder / out).totals().usage.requests

    def left(self, out: str) -> list[str]:
        """What a build that stopped left of verdicts."""
        folder = self.folder / out
        names = ("*.tar", "rejects/*", "probes*.json", "probed.jsonl", "put-by/*")
        return sorted(str(path.relative_to(folder)) for name in names for path in folder.glob(name))
