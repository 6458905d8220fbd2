"""Builds of 24 questions about 12 tiny clips, fast enough to be run by the hundred under every fault of an endpoint."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import av
import numpy as np
import pytest

from videorouter.data_builders.__main__ import main
from videorouter.data_builders.videos import PreparedVideo, VideoFolder
from videorouter.shards.reader import ShardDataset
from videorouter.shards.sidecar import read_sidecar
from videorouter.shards.storage import Storage

CLIPS, QUESTIONS_A_CLIP, FRAMES, WINDOW = 12, 2, 6, 3
ITEMS = CLIPS * QUESTIONS_A_CLIP
FRAME_OPTIONS = ("--frames", str(FRAMES), "--frame_size", "28", "--window", str(WINDOW), "--videos_per_shard", "6")
PATIENT = ("--teacher.timeout", "30", "--teacher.attempts", "2", "--teacher.patience", "30", "--teacher.wait", "30")
IMPATIENT = ("--teacher.timeout", "1", "--teacher.attempts", "1", "--teacher.patience", "1.5", "--teacher.wait", "1")


@dataclass(frozen=True)
class Clips:
    """A folder of clips with questions about them."""

    folder: Path

    def build(self, out: Path, address: str, *options: str) -> int:
        """The exit code of a build into `out`; an option given twice counts as given last."""
        about = ("--questions", str(self.folder / "questions.jsonl"), "--videos", str(self.folder), "--out", str(out))
        return main(["flr", "annotate", *about, *FRAME_OPTIONS, "--teacher.base_url", address, *PATIENT, *options])


def write_clips(folder: Path, clips: int = CLIPS) -> Clips:
    """Clips of two seconds, each of another shade, and questions that name the clip they are about."""
    rows = []
    for number in range(clips):
        name = f"clip-{number:02d}"
        _write_clip(folder / f"{name}.mp4", shade=20 * number + 10)
        for part in range(QUESTIONS_A_CLIP):
            told = {"task_type": "detail", "source": "clips", "answer": "a stone", "split": "train"}
            rows.append(
                {"id": f"{name}-q{part}", "video": f"{name}.mp4", "question": f"What is in {name}, part {part}?"} | told
            )
    (folder / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return Clips(folder)


@contextmanager
def decoded_once() -> Iterator[None]:
    """Every clip is decoded by its first build, and taken from memory by the others: decoding is not what is tested."""
    prepare = VideoFolder.prepare

    @cache
    def decoded(path: Path, name: str) -> PreparedVideo:
        folder = next(iter(asking))
        return prepare(folder, name)

    asking: list[VideoFolder] = []

    def prepared(self: VideoFolder, name: str) -> PreparedVideo:
        asking[:] = [self]
        return decoded(self.find(name), name)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(VideoFolder, "prepare", prepared)
        yield


def shards(folder: Path) -> dict[str, bytes]:
    """The bytes of every finished shard of a data set."""
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.tar"))}


def relevance(folder: Path) -> dict[str, list[bool]]:
    """The labels of every question, without their reasons."""
    questions = [one for sample in ShardDataset(folder) for one in sample.questions]
    return {one.question.id: one.relevance.relevant for one in questions if one.relevance}


def labelled(folder: Path) -> int:
    """Questions in the finished shards."""
    storage = Storage(folder)
    return sum(read_sidecar(storage, path.name).questions for path in folder.glob("*.tar"))


def put_aside(folder: Path) -> list[dict[str, str]]:
    """The rows of a data set's quarantine."""
    path = folder / "quarantine.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []


def to_ask_again(rows: Sequence[dict[str, str]]) -> list[str]:
    """The flags that ask again for what was put aside, as the documents say them."""
    return sorted({f"--retry-{FLAGS[row['verdict']]}" for row in rows})


FLAGS = {
    "server_error": "failed",
    "error": "failed",
    "refused": "refused",
    "filtered": "refused",
    "invalid_reply": "invalid",
    "cut_off": "invalid",
}
"""By verdict."""


def _write_clip(path: Path, shade: int) -> None:
    with av.open(str(path), mode="w") as container:
        stream = container.add_stream("libx264", rate=8)
        stream.width = stream.height = 32
        stream.pix_fmt = "yuv420p"
        for frame in range(16):
            picture = np.full((32, 32, 3), shade, dtype=np.uint8)
            picture[:, : 2 * frame] = 255 - shade
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
