"""Every ending that is taken for a video's is one of a container that is read; sound with a picture on its cover is no video."""

from pathlib import Path

import pytest

from tests.video.counting import write_counting_video
from tests.video.ffmpeg import ffmpeg
from videorouter.video.containers import EXTENSIONS, without_extension
from videorouter.video.decode import sample_frames
from videorouter.video.errors import EmptyVideo

CODECS = {
    **dict.fromkeys((".webm", ".ivf"), "libvpx"),
    **dict.fromkeys((".mpg", ".mpeg", ".mpe", ".vob", ".m2v", ".mpv", ".mxf"), "mpeg2video"),
    **dict.fromkeys((".ogv", ".ogm"), "libtheora"),
    **dict.fromkeys((".wmv", ".asf"), "wmv2"),
    **dict.fromkeys((".rm", ".rmvb"), "rv20"),
    **dict.fromkeys((".265", ".h265", ".hevc"), "libx265"),
    **dict.fromkeys((".mjpg", ".mjpeg"), "mjpeg"),
    ".m1v": "mpeg1video",
    ".avi": "mpeg4",
    ".divx": "mpeg4",
    ".gif": "gif",
    ".dv": "dvvideo",
    ".obu": "libsvtav1",
    ".y4m": "rawvideo",
}
MUXERS = {
    **dict.fromkeys((".divx",), "avi"),
    **dict.fromkeys((".qt",), "mov"),
    **dict.fromkeys((".f4v",), "mp4"),
    **dict.fromkeys((".mk3d",), "matroska"),
    **dict.fromkeys((".ogm",), "ogg"),
    **dict.fromkeys((".m2t",), "mpegts"),
    **dict.fromkeys((".mpe",), "mpeg"),
    **dict.fromkeys((".mpv",), "mpeg2video"),
    **dict.fromkeys((".avc",), "h264"),
    **dict.fromkeys((".rmvb",), "rm"),
    ".y4m": "yuv4mpegpipe",
    ".obu": "obu",
    ".mjpg": "mjpeg",
}


@pytest.fixture(scope="module")
def counting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_counting_video(tmp_path_factory.mktemp("kinds") / "counting.mkv", count=25, fps=25)


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_every_ending_is_one_of_a_container_that_is_read(extension: str, counting: Path, tmp_path: Path) -> None:
    path = tmp_path / f"video{extension.upper()}"
    muxer = ("-f", MUXERS[extension]) if extension in MUXERS else ()
    codec = CODECS.get(extension, "libx264")
    size = ("-s", "720x576") if extension == ".dv" else ()
    made = tmp_path / f"video{extension}"
    ffmpeg("-i", counting, "-c:v", codec, "-pix_fmt", "yuv420p", *size, *muxer, made)
    made.rename(path)
    assert sample_frames(path, 4).total in (24, 25)


def test_an_ending_is_taken_off_once_in_any_case() -> None:
    assert [without_extension(name) for name in ("a.MP4", "a.b.Ts", "1164.v2", ".mp4", "a", "a.mp4.mkv")] == [
        "a",
        "a.b",
        "1164.v2",
        ".mp4",
        "a",
        "a.mp4",
    ]


@pytest.mark.parametrize("name", ["a.mp3", "a.flac", "a.m4a", "a.mka", "a.wav", "a.ogg", "a.aac", "a.mp4"])
def test_sound_with_a_cover_is_empty(name: str, tmp_path: Path) -> None:
    ffmpeg("-f", "lavfi", "-i", "color=red:s=64x64:d=0.04", "-frames:v", "1", tmp_path / "cover.png")
    sound = ("-f", "lavfi", "-i", "sine=d=1")
    if name in ("a.wav", "a.ogg", "a.aac"):
        ffmpeg(*sound, tmp_path / name)
    elif name == "a.mka":
        attached = ("-attach", tmp_path / "cover.png", "-metadata:s:t", "mimetype=image/png")
        ffmpeg(*sound, *attached, "-metadata:s:t", "filename=cover.png", tmp_path / name)
    else:
        picture = ("-i", tmp_path / "cover.png", "-map", "0:a", "-map", "1:v", "-c:v", "png")
        ffmpeg(*sound, *picture, "-disposition:v:0", "attached_pic", tmp_path / name)
    with pytest.raises(EmptyVideo):
        sample_frames(tmp_path / name, 2)


def test_a_video_with_a_cover_is_read_without_it(counting: Path, tmp_path: Path) -> None:
    ffmpeg("-f", "lavfi", "-i", "color=red:s=640x640:d=0.04", "-frames:v", "1", tmp_path / "cover.png")
    both = ("-i", tmp_path / "cover.png", "-i", counting, "-map", "0:v", "-map", "1:v", "-c:v:0", "png")
    ffmpeg(*both, "-c:v:1", "libx264", "-disposition:v:0", "attached_pic", tmp_path / "film.mp4")
    sampled = sample_frames(tmp_path / "film.mp4", 4)
    assert (sampled.total, sampled.frames.shape[1:3]) == (25, (64, 64))
