"""Pictures stand as ffmpeg shows them, however the camera was held."""

from pathlib import Path

import numpy as np
import pytest

from tests.video.ffmpeg import ffmpeg, ffmpeg_frames
from videorouter.video.decode import sample_frames


def assert_as_ffmpeg_shows(path: Path) -> None:
    theirs = ffmpeg_frames(path)
    sampled = sample_frames(path, 3)
    assert sampled.frames.shape[1:] == theirs.shape[1:]
    assert sampled.total == len(theirs)
    for index, frame in zip(sampled.indices, sampled.frames, strict=True):
        assert np.abs(frame.astype(int) - theirs[index]).mean() < 3  # their colours are converted with other rounding


@pytest.mark.parametrize("name", ["decord_rot0.mov", "decord_rot90.mov", "decord_rot180.mov", "moviepy_fire2.mp4"])
def test_real_videos_that_lie_on_their_side_are_turned(name: str, real_data: Path) -> None:
    assert_as_ffmpeg_shows(real_data / "videos" / "odd" / name)


@pytest.mark.parametrize("mirrored", [[], ["-display_hflip"], ["-display_vflip"]], ids=" ".join)
@pytest.mark.parametrize("angle", [0, 90, 180, 270])
def test_quarter_turns_and_mirrors_are_applied(angle: int, mirrored: list[str], tmp_path: Path) -> None:
    lying, turned = tmp_path / "lying.mp4", tmp_path / "turned.mp4"
    ffmpeg("-f", "lavfi", "-i", "testsrc2=size=96x64:rate=5:duration=1", "-c:v", "libx264", lying)
    ffmpeg("-display_rotation", str(angle), *mirrored, "-i", lying, "-c", "copy", turned)
    assert_as_ffmpeg_shows(turned)
