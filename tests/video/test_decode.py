"""Frames are those asked for, whatever decoder gave them; files that give none get a typed verdict."""

from pathlib import Path

import numpy as np
import pytest

from tests.video.counting import shown, write_counting_video
from videorouter.video.decode import decoders, frames_at, sample_frames
from videorouter.video.decoder import Decoder
from videorouter.video.errors import CorruptVideo, EmptyVideo, MissingVideo
from videorouter.video.seeking import SeekingDecoder
from videorouter.video.sequential import SequentialDecoder


@pytest.fixture(scope="module")
def counting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_counting_video(tmp_path_factory.mktemp("video") / "counting.mp4")


@pytest.mark.parametrize("decoder", decoders(), ids=lambda decoder: decoder.name)
def test_each_decoder_gives_the_frames_asked_for(decoder: Decoder, counting: Path) -> None:
    sampled = decoder.read(counting, lambda starts: [0, 7, 30, 30, len(starts) - 1], None)
    assert shown(sampled) == [0, 7, 30, 30, 59]
    assert sampled.indices == [0, 7, 30, 30, 59]
    assert sampled.seconds == pytest.approx([0.0, 0.7, 3.0, 3.0, 5.9], abs=1e-3)
    assert (sampled.total, sampled.promised) == (60, 60)
    assert (sampled.fps, sampled.duration) == (pytest.approx(10), pytest.approx(6))


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.mp4", "libx264"),
        ("a.mkv", "libx264"),
        ("a.ts", "libx264"),
        ("a.mp4", "libx265"),
        ("a.webm", "libvpx"),
        ("a.webm", "libvpx-vp9"),
        ("a.avi", "mpeg4"),
        ("a.mpg", "mpeg2video"),
    ],
)
@pytest.mark.parametrize("gop", [7, 25])
def test_frames_are_the_same_by_seeking_as_by_sequential_decoding(
    name: str, codec: str, gop: int, tmp_path: Path
) -> None:
    path = write_counting_video(tmp_path / name, fps=25, codec=codec, gop=gop)
    for wanted in ([33], [3, 31, 32, 57], list(range(60))):
        sequential = SequentialDecoder().read(path, lambda starts: wanted, None)  # noqa: B023
        sampled = frames_at(path, sequential.seconds)
        assert shown(sampled) == shown(sequential) == wanted
        assert (sampled.frames == sequential.frames).all()
        assert sampled.total == sequential.total == 60
        assert sampled.duration == pytest.approx(sequential.duration)


def test_the_reason_of_a_damaged_file_does_not_say_where_it_lies(tmp_path: Path, counting: Path) -> None:
    """A client that sent it is told the reason."""
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(counting.read_bytes()[:2000])
    with pytest.raises(CorruptVideo) as raised:
        sample_frames(cut, 4)
    assert "the file" in raised.value.reason
    assert tmp_path.name not in raised.value.reason


def test_sparse_frames_of_a_long_video_are_sought(tmp_path: Path) -> None:
    path = write_counting_video(tmp_path / "long.mp4", count=600, gop=50)
    assert sample_frames(path, 4).decoder == SeekingDecoder.name


def test_frames_are_resized_at_once(counting: Path) -> None:
    assert sample_frames(counting, 5, size=28).frames.shape == (5, 28, 28, 3)


def test_frames_at_seconds_are_those_on_screen(counting: Path) -> None:
    assert shown(frames_at(counting, [0.0, 0.05, 0.1, 2.99, 3.0, 99.0])) == [0, 0, 1, 29, 30, 59]


def test_a_variable_frame_rate_is_read_by_its_timestamps(tmp_path: Path) -> None:
    milliseconds = [*range(0, 1000, 40), *range(1000, 6000, 500), *range(6000, 6500, 20)]
    for name in ("varying.mp4", "varying.mkv"):
        path = write_counting_video(tmp_path / name, len(milliseconds), milliseconds=milliseconds)
        sampled = frames_at(path, [0.5, 1.2, 1.6, 5.99, 6.03])
        assert shown(sampled) == sampled.indices == [12, 25, 26, 34, 36]
        assert sampled.seconds == pytest.approx([0.48, 1.0, 1.5, 5.5, 6.02], abs=1e-3)
        assert sampled.total == len(milliseconds)


def test_a_missing_an_empty_and_a_corrupt_file_get_their_verdicts(tmp_path: Path, counting: Path) -> None:
    with pytest.raises(MissingVideo, match="nowhere"):
        sample_frames(tmp_path / "nowhere.mp4", 4)
    (tmp_path / "empty.mp4").touch()
    with pytest.raises(EmptyVideo, match="zero bytes"):
        sample_frames(tmp_path / "empty.mp4", 4)
    (tmp_path / "noise.mp4").write_bytes(np.random.default_rng(0).bytes(20_000))
    with pytest.raises(CorruptVideo, match="noise"):
        sample_frames(tmp_path / "noise.mp4", 4)
    (tmp_path / "cut.mp4").write_bytes(counting.read_bytes()[:1000])
    with pytest.raises(CorruptVideo, match="cut"):
        sample_frames(tmp_path / "cut.mp4", 4)


@pytest.mark.parametrize("asked", [{"sampler": "every_other"}, {"count": 0}, {"size": 0}])
def test_what_cannot_be_asked_is_refused_and_no_verdict_on_the_file(asked: dict, counting: Path) -> None:
    with pytest.raises(ValueError, match=r"segment_midpoint|at least 1") as refused:
        sample_frames(counting, **({"count": 4} | asked))
    assert refused.type is ValueError
