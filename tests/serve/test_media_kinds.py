"""Real videos and pictures are told apart by their first bytes, in every container that is read."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.video.counting import write_counting_video
from tests.video.ffmpeg import ffmpeg
from videorouter.serve.errors import BadVideo
from videorouter.serve.media.kinds import kind_of, read_kind
from videorouter.video.containers import HEAD
from videorouter.video.decode import sample_frames


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.mp4", "libx264"),
        ("a.mov", "libx264"),
        ("a.3gp", "libx264"),
        ("a.mkv", "libx264"),
        ("a.webm", "libvpx"),
        ("a.avi", "mpeg4"),
        ("a.ts", "libx264"),
        ("a.m2ts", "libx264"),
        ("a.mpg", "mpeg2video"),
        ("a.flv", "libx264"),
        ("a.wmv", "msmpeg4"),
        ("a.mxf", "mpeg2video"),
        ("a.ogv", "libvpx"),
    ],
)
def test_a_video_of_each_container_is_one_and_decodes(name: str, codec: str, tmp_path: Path) -> None:
    path = write_counting_video(tmp_path / name, fps=25, codec=codec)
    assert read_kind(path) == "video"
    path.rename(tmp_path / "nameless")
    assert sample_frames(tmp_path / "nameless", 4).frames.shape[0] == 4


@pytest.mark.parametrize("kind", ["y4m", "gif"])
def test_raw_and_animated_pictures_are_videos(kind: str, tmp_path: Path) -> None:
    ffmpeg("-i", write_counting_video(tmp_path / "a.mp4"), tmp_path / f"a.{kind}")
    assert read_kind(tmp_path / f"a.{kind}") == "video"
    assert sample_frames(tmp_path / f"a.{kind}", 4).total == 60


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "AVIF"])
def test_a_picture_is_one(kind: str) -> None:
    file = BytesIO()
    Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(file, kind)
    assert kind_of(file.getvalue()[:HEAD]) == "picture"


def test_every_real_video_is_one(real_data: Path) -> None:
    for path in sorted((real_data / "videos").rglob("*.*")):
        if path.suffix in (".mp4", ".mkv", ".webm", ".mov") and path.stat().st_size:
            assert read_kind(path) == "video", path


@pytest.mark.parametrize(
    "head",
    [b"", b"\0" * 64, b"%PDF-1.7", b"PK\3\4", b"ID3\4", b"RIFF\0\0\0\0WAVE", b"\x7fELF", b"G" * 10, b"<svg/>", b"{}"],
)
def test_what_is_neither_is_refused(head: bytes) -> None:
    with pytest.raises(BadVideo):
        kind_of(head)
