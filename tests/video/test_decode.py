"""Frames are those asked for, whatever decoder gave them; files that give none get a typed verdict."""

import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from video.decode import Decord, PyAV, decoders, frames_at, sample_video
from video.errors import CorruptVideo, EmptyVideo, MissingVideo, VideoTimeout
from video.frames import SampledFrames
from video.worker import DecodeWorker


def write_counting_video(path: Path, count: int = 60, fps: int = 10, side: int = 64, **muxing: str) -> Path:
    """A video whose frame i is gray of brightness 4 i."""
    import av

    with av.open(str(path), mode="w", options=muxing) as container:
        stream = container.add_stream("libx264", rate=fps, options={"crf": "1"})
        stream.width = stream.height = side
        stream.pix_fmt = "yuv420p"
        for index in range(count):
            picture = np.full((side, side, 3), 4 * index, dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


@pytest.fixture(scope="module")
def counting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_counting_video(tmp_path_factory.mktemp("video") / "counting.mp4")


def shown(sampled: SampledFrames) -> list[int]:
    return [round(float(frame.mean()) / 4) for frame in sampled.frames]


@pytest.mark.parametrize("decoder", decoders(), ids=lambda decoder: decoder.name)
def test_each_decoder_gives_the_frames_asked_for(decoder: Decord | PyAV, counting: Path) -> None:
    sampled = decoder.read(counting, lambda starts: [0, 7, 30, len(starts) - 1], None)
    assert shown(sampled) == [0, 7, 30, 59]
    assert sampled.indices == [0, 7, 30, 59]
    assert sampled.seconds == pytest.approx([0.0, 0.7, 3.0, 5.9], abs=1e-3)
    assert (sampled.total, sampled.fps, sampled.duration) == (60, pytest.approx(10), pytest.approx(6))


def test_frames_are_resized_at_once(counting: Path) -> None:
    assert sample_video(counting, 5, size=28).frames.shape == (5, 28, 28, 3)


def test_frames_at_seconds_are_those_on_screen(counting: Path) -> None:
    assert shown(frames_at(counting, [0.0, 0.05, 0.1, 2.99, 3.0, 99.0])) == [0, 0, 1, 29, 30, 59]


def test_a_missing_an_empty_and_a_corrupt_file_get_their_verdicts(tmp_path: Path, counting: Path) -> None:
    with pytest.raises(MissingVideo, match="nowhere"):
        sample_video(tmp_path / "nowhere.mp4", 4)
    (tmp_path / "empty.mp4").touch()
    with pytest.raises(EmptyVideo, match="zero bytes"):
        sample_video(tmp_path / "empty.mp4", 4)
    (tmp_path / "noise.mp4").write_bytes(np.random.default_rng(0).bytes(20_000))
    with pytest.raises(CorruptVideo, match="noise"):
        sample_video(tmp_path / "noise.mp4", 4)
    (tmp_path / "cut.mp4").write_bytes(counting.read_bytes()[:1000])
    with pytest.raises(CorruptVideo, match="cut"):
        sample_video(tmp_path / "cut.mp4", 4)


def test_a_truncated_file_gives_the_frames_that_decode(tmp_path: Path) -> None:
    data = write_counting_video(tmp_path / "whole.mp4", movflags="faststart").read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(data[: (data.index(b"mdat") + len(data)) // 2])
    sampled = sample_video(cut, 8)
    assert 8 < sampled.total < 60
    assert shown(sampled) == sampled.indices


def test_an_unknown_sampler_is_refused(counting: Path) -> None:
    with pytest.raises(ValueError, match="segment_midpoint"):
        sample_video(counting, 4, "every_other")


def sleep_forever(path: Path) -> SampledFrames:
    time.sleep(3600)
    raise AssertionError(path)


def die(path: Path) -> SampledFrames:
    os.kill(os.getpid(), signal.SIGSEGV)
    raise AssertionError(path)


def test_a_decoder_that_hangs_or_dies_costs_one_video_only(counting: Path) -> None:
    worker = DecodeWorker()
    try:
        started = time.monotonic()
        with pytest.raises(VideoTimeout, match=r"1\.5 s"):
            worker.run(1.5, sleep_forever, counting)
        assert time.monotonic() - started < 10
        with pytest.raises(CorruptVideo, match="died"):
            worker.run(30, die, counting)
        assert shown(worker.run(60, sample_video, counting, 2)) == [14, 44]
        with pytest.raises(MissingVideo, match="gone"):
            worker.run(60, sample_video, Path("gone.mp4"), 2)
    finally:
        worker.close()


def test_odd_real_videos_give_frames_or_a_verdict(real_data: Path) -> None:
    verdicts = {}
    for path in sorted((real_data / "videos" / "odd").iterdir()):
        try:
            verdicts[path.name] = str(sample_video(path, 8, size=56).total)
        except (EmptyVideo, CorruptVideo) as error:
            verdicts[path.name] = error.verdict
    assert verdicts["decord_corrupted.mp4"] == "28"  # its header says 50
    assert verdicts["moviepy_zero_bytes.webm"] == "empty"
    assert verdicts["torchcodec_av1_video.mkv"] == "125"


@pytest.mark.parametrize("name", ["decord_rot90.mov", "decord_rot180.mov"])
def test_rotation_metadata_is_applied_alike_by_all_decoders(real_data: Path, name: str) -> None:
    path = real_data / "videos" / "odd" / name
    pictures = [decoder.read(path, lambda starts: [0], None).frames[0].astype(float) for decoder in decoders()]
    if len(pictures) == 2:
        assert pictures[0].shape == pictures[1].shape
        assert np.abs(pictures[0] - pictures[1]).mean() < 4
