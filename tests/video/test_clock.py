"""Frames are shown at the seconds that the container's clock says: also without times of presentation, and from a damaged start."""

from collections.abc import Callable
from pathlib import Path

import av
import pytest
from av.codec.context import ThreadType

from tests.video.counting import shown, write_counting_video
from tests.video.ffmpeg import ffmpeg
from videorouter.video.decode import decoders, frames_at, sample_frames
from videorouter.video.decoder import Decoder, DecordDecoder
from videorouter.video.pyav import opened
from videorouter.video.seeking import SeekingDecoder
from videorouter.video.sequential import SequentialDecoder

FPS = 25
X264 = ("-c:v", "libx264", "-crf", "1", "-g", "24", "-bf", "3", "-pix_fmt", "yuv420p")
X264_ALONE = (*X264[:-4], "-bf", "0", *X264[-2:])
MPEG4 = ("-c:v", "mpeg4", "-b:v", "4M", "-bf", "2", "-g", "24")
MPEG2 = ("-c:v", "mpeg2video", "-b:v", "4M", "-bf", "2", "-g", "12")
FILES: dict[str, tuple[str, ...]] = {
    "reordered.avi": X264,
    "in_order.avi": X264_ALONE,
    "mpeg4.avi": MPEG4,
    "msmpeg4.avi": ("-c:v", "msmpeg4v3", "-b:v", "4M"),
    "mjpeg.avi": ("-c:v", "mjpeg", "-q:v", "2", "-pix_fmt", "yuvj420p"),
    "stream.264": X264,
    "stream.265": ("-c:v", "libx265", "-x265-params", "log-level=0", "-crf", "1"),
    "stream.m2v": MPEG2,
    "program.mpg": MPEG2,
    "program_h264.mpg": X264,
    "transport.ts": X264,
    "flash.flv": X264,
    "windows.wmv": ("-c:v", "wmv2", "-b:v", "4M"),
    "theora.ogv": ("-c:v", "libtheora", "-q:v", "10"),
    "late.mp4": X264,
    "late.mkv": X264,
}
VARYING = ("-vf", "select='lt(n,20)+not(mod(n,5))'", "-fps_mode", "vfr")


@pytest.fixture(scope="module")
def counting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_counting_video(tmp_path_factory.mktemp("clock") / "counting.mkv", fps=FPS, gop=24)


def check_clock(decoder: Decoder, path: Path, moved: int = 0) -> int:
    """Frame n is shown at n / FPS; the first of the file is frame `moved`. How many ways of asking it answers, and not refuses."""
    answered = 0
    for wanted in (lambda starts: [*range(len(starts))], lambda starts: [1, len(starts) // 2, len(starts) - 1]):
        try:
            sampled = decoder.read(path, wanted, None)
        except ValueError:  # the next decoder is asked
            continue
        seconds = [(number - moved) / FPS for number in shown(sampled)]
        assert sampled.seconds == pytest.approx(seconds, abs=2e-3), decoder.name
        answered += 1
    return answered


@pytest.mark.parametrize("name", FILES)
def test_every_decoder_that_reads_a_file_says_when_its_frames_are_shown(
    name: str, counting: Path, tmp_path: Path
) -> None:
    path = tmp_path / name
    ffmpeg("-itsoffset", "5" if name.startswith("late") else "0", "-i", counting, *FILES[name], path)
    assert sum(check_clock(decoder, path) for decoder in decoders()) >= 2
    assert sample_frames(path, 4).total == 60
    assert sample_frames(path, 4).duration == pytest.approx(60 / FPS, abs=2e-3)


def test_codecs_whose_concurrent_frames_race_are_decoded_without(counting: Path, tmp_path: Path) -> None:
    for name, frames in (("theora.ogv", False), ("reordered.avi", True)):
        ffmpeg("-i", counting, *FILES[name], tmp_path / name)
        with opened(tmp_path / name, "AUTO") as (container, stream):
            next(container.decode(stream))
            assert bool(stream.thread_type & ThreadType.FRAME) is frames


@pytest.mark.parametrize("name", ["varying.avi", "varying.ts", "varying.mp4"])
def test_frames_left_out_leave_a_gap(name: str, counting: Path, tmp_path: Path) -> None:
    ffmpeg("-i", counting, *X264, *VARYING, tmp_path / name)
    assert check_clock(SequentialDecoder(), tmp_path / name) == 2
    assert shown(frames_at(tmp_path / name, [0.3, 0.81, 1.0, 2.1])) == [7, 20, 25, 50]


def test_a_stream_copied_out_of_avi_keeps_its_order(counting: Path, tmp_path: Path) -> None:
    """Its times only increase, though its frames are stored in another order than they are shown."""
    ffmpeg("-i", counting, *X264, tmp_path / "a.avi")
    ffmpeg("-i", tmp_path / "a.avi", "-c", "copy", tmp_path / "copied.mp4")
    for name in ("a.avi", "copied.mp4"):
        with pytest.raises(ValueError, match="no times of presentation"):
            SeekingDecoder().read(tmp_path / name, lambda starts: [0], None)
        assert shown(frames_at(tmp_path / name, [0.24, 0.4])) == [6, 10]


def test_what_an_edit_list_hides_is_not_shown_and_not_counted(counting: Path, tmp_path: Path) -> None:
    ffmpeg("-i", counting, *X264, tmp_path / "whole.mp4")
    ffmpeg("-ss", "0.5", "-i", tmp_path / "whole.mp4", "-c", "copy", tmp_path / "cut.mp4")
    assert check_clock(SequentialDecoder(), tmp_path / "cut.mp4", moved=13) == 2
    with pytest.raises(ValueError, match="frames that are not shown"):
        DecordDecoder().read(tmp_path / "cut.mp4", lambda starts: [0], None)


def _damage(path: Path, first: int, last: int) -> None:
    """Overwrite the contents of video packets `first` up to `last`, where no header of the container lies."""
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    data = bytearray(path.read_bytes())
    begin, end = packets[first].pos or 0, packets[last].pos or 0
    if path.suffix == ".ts":  # whole packets of 188 bytes, but for their headers
        for place in range(begin + 188, end, 188):
            data[place + 12 : place + 188] = bytes([0x55]) * 176
    else:
        for packet in packets[first:last]:
            end = (packet.pos or 0) + packet.size
            data[end - packet.size // 2 : end] = b"\x55" * (packet.size // 2)  # what begins a stream stays
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("name", "codec"), [("a.ts", MPEG2), ("b.ts", X264), ("a.avi", MPEG4), ("b.avi", X264), ("c.avi", X264_ALONE)]
)
@pytest.mark.parametrize("where", ["start", "middle"])
def test_after_damage_the_clock_goes_on(
    name: str, codec: tuple[str, ...], where: str, counting: Path, tmp_path: Path
) -> None:
    path = tmp_path / name
    ffmpeg("-i", counting, *codec, "-sc_threshold", "0", path)
    _damage(path, *((0, 10) if where == "start" else (14, 20)))
    sampled = SequentialDecoder().read(path, lambda starts: [*range(len(starts))], None)
    assert 20 < sampled.total < 60
    undamaged = [
        (second, number)
        for second, number in zip(sampled.seconds, shown(sampled), strict=True)
        if second >= 1 or (where == "middle" and second < 0.4)  # what is painted over in between cannot be read
    ]
    assert len(undamaged) > 30
    for second, number in undamaged:
        assert second == pytest.approx(number / FPS, abs=2e-3)


def test_seconds_are_those_of_the_packets(tmp_path: Path) -> None:
    """Where a container has times of presentation, they are what is said."""
    milliseconds = [0, 40, 90, 500, 520, 1700, 1740, 2000]
    for name in ("a.mkv", "a.mp4", "a.ts"):
        path = write_counting_video(tmp_path / name, len(milliseconds), milliseconds=milliseconds)
        with av.open(str(path)) as container:
            times = sorted(
                float(packet.pts * packet.time_base)
                for packet in container.demux(video=0)
                if packet.pts is not None and packet.time_base
            )
        expected = [time - times[0] for time in times]
        readers: list[Callable[[Path], list[float]]] = [
            lambda path, decoder=decoder: decoder.read(path, lambda starts: [*range(len(starts))], None).seconds  # type: ignore[misc]
            for decoder in (SeekingDecoder(), SequentialDecoder())
        ]
        for read in readers:
            assert read(path) == pytest.approx(expected, abs=1e-6)
