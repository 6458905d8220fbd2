"""Odd, damaged and lying files give right frames or a typed verdict, in bounded time and memory."""

from pathlib import Path

import numpy as np
import pytest

from tests.video.counting import shown, write_counting_video
from videorouter.video.decode import sample_frames
from videorouter.video.errors import EmptyVideo, VideoError
from videorouter.video.seeking import SeekingDecoder
from videorouter.video.sequential import SequentialDecoder
from videorouter.video.worker import DecodeWorker


def write_header_promising(path: Path, count: int) -> Path:
    """An AVI of 60 frames whose headers count more."""
    data = bytearray(write_counting_video(path, codec="mpeg4").read_bytes())
    for place in (data.index(b"avih") + 8 + 16, data.index(b"strh") + 8 + 32):
        assert int.from_bytes(data[place : place + 4], "little") == 60
        data[place : place + 4] = count.to_bytes(4, "little")
    path.write_bytes(data)
    return path


def test_a_truncated_file_gives_the_frames_that_decode(tmp_path: Path) -> None:
    data = write_counting_video(tmp_path / "whole.mp4", movflags="faststart").read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(data[: (data.index(b"mdat") + len(data)) // 2])
    sampled = sample_frames(cut, 8)
    assert 8 < sampled.total < 60 == sampled.promised
    assert shown(sampled) == sampled.indices


def test_what_a_header_promises_is_recorded_and_not_believed(tmp_path: Path) -> None:
    sampled = sample_frames(write_header_promising(tmp_path / "liar.avi", 1_000_000), 8)
    assert (sampled.total, sampled.promised) == (60, 1_000_000)
    assert sampled.duration == pytest.approx(6)
    assert shown(sampled) == sampled.indices


@pytest.mark.parametrize("seed", range(12))
def test_damage_costs_the_frames_up_to_the_next_keyframe_and_moves_no_other(seed: int, tmp_path: Path) -> None:
    import av

    path = write_counting_video(tmp_path / "damaged.mp4", gop=12)
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    keys = [number for number, packet in enumerate(packets) if packet.is_keyframe]
    first, after = keys[2], keys[3]  # closed groups: as many frames are shown before a keyframe as are stored before it
    data, random = bytearray(path.read_bytes()), np.random.default_rng(seed)
    for packet in packets[first:after] if seed % 2 else packets[first : first + 1]:
        position, size = packet.pos or 0, packet.size
        for place in random.integers(position + 6, position + size, 1 + size // 20):
            data[place] ^= 1 << random.integers(8)
    path.write_bytes(data)
    for count in (3, 60):
        sampled = sample_frames(path, count)
        assert shown(sampled) == [round(second * 10) for second in sampled.seconds]
    kept = {round(second * 10) for second in sampled.seconds}
    assert kept >= {*range(first - 2), *range(after, 59)}  # what was still waiting in the decoder goes with it
    assert sampled.total < 60


def test_two_hours_are_sampled_in_bounded_time_and_memory(tmp_path: Path) -> None:
    path = write_counting_video(tmp_path / "film.mp4", count=7200, fps=1)
    worker = DecodeWorker(memory=0.5)
    try:
        sampled = worker.run(30, sample_frames, path, 64, "segment_midpoint", 56)
    finally:
        worker.close()
    assert shown(sampled) == [index % 64 for index in sampled.indices]
    assert (sampled.total, sampled.duration) == (7200, pytest.approx(7200))


def test_every_odd_real_video_gives_frames_or_its_verdict(real_data: Path) -> None:
    worker = DecodeWorker(memory=1.0)
    totals: dict[str, int | str] = {}
    try:
        for path in sorted((real_data / "videos" / "odd").iterdir()):
            try:
                sampled = worker.run(60, sample_frames, path, 8, "segment_midpoint", 56)
                totals[path.name] = sampled.total
                assert sampled.frames.shape == (8, 56, 56, 3)
            except VideoError as error:
                totals[path.name] = error.verdict
    finally:
        worker.close()
    assert totals == {
        "decord_corrupted.mp4": 28,  # its header says 50
        "decord_rot0.mov": 3,
        "decord_rot180.mov": 3,
        "decord_rot90.mov": 3,
        "mmaction2_demo_skeleton.mp4": 72,
        "mmaction2_part_0.mp4": 32,
        "moviepy_big_buck_bunny_432_433.webm": 24,
        "moviepy_bitmap.mp4": 5,
        "moviepy_fire2.mp4": 25,
        "moviepy_video_with_failing_audio.mp4": 280,
        "moviepy_zero_bytes.webm": EmptyVideo.verdict,
        "torchcodec_av1_video.mkv": 125,
        "torchcodec_bt709_full_range.mp4": 30,
        "torchcodec_h265_video.mp4": 10,
    }


@pytest.mark.parametrize(
    "name",
    [
        "odd/moviepy_big_buck_bunny_432_433.webm",
        "odd/moviepy_bitmap.mp4",
        "odd/moviepy_fire2.mp4",
        "odd/torchcodec_av1_video.mkv",
        "odd/torchcodec_bt709_full_range.mp4",
        "odd/torchcodec_h265_video.mp4",
        "flipping_a_pancake.mkv",
        "haystack_16clips_10fps.mp4",
        "videollava_sample_demo_22.mp4",
    ],
)
def test_real_videos_give_the_same_frames_by_seeking_as_by_sequential_decoding(name: str, real_data: Path) -> None:
    def choose(starts: object) -> list[int]:
        return [i * len(starts) // 6 for i in range(6)]  # type: ignore[arg-type]

    decoders = (SeekingDecoder(), SequentialDecoder())
    sought, sequential = (decoder.read(real_data / "videos" / name, choose, None) for decoder in decoders)
    assert (sought.frames == sequential.frames).all()
    assert sought.seconds == sequential.seconds
    assert sought.duration == pytest.approx(sequential.duration)
