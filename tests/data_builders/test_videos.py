"""A build's folder of videos: each decoded once, and what can never be decoded is not tried again."""

import base64
import io
from pathlib import Path

import pytest
from PIL import Image

from tests.video.counting import write_counting_video
from tests.video.oblong import write_oblong_video
from videorouter.data_builders.qtr.probe import _url
from videorouter.data_builders.videos import FrameConfig, VideoFolder
from videorouter.shards import jpeg
from videorouter.video.decode import sample_frames
from videorouter.video.errors import CorruptVideo, MissingVideo, TooShortVideo
from videorouter.video.verdict_cache import VerdictCache


def test_a_video_shorter_than_wanted_is_put_aside_and_its_clip_can_still_be_read(tmp_path: Path) -> None:
    write_counting_video(tmp_path / "short.mp4", count=15)
    verdicts = VerdictCache(tmp_path / "verdicts")
    for _ in range(2):  # decoded, remembered
        videos = VideoFolder(FrameConfig(tmp_path, frames=4, frame_size=28, shortest=2.0), verdicts)
        with pytest.raises(TooShortVideo, match=r"1\.500 s, less than the 2 s"):
            videos.prepare("short.mp4")
    assert len(videos.decode(sample_frames, "short.mp4", 3).frames) == 3
    videos.close()
    videos = VideoFolder(FrameConfig(tmp_path, frames=4, frame_size=28, shortest=1.0, decoders=2), verdicts)
    record = videos.prepare("short").record
    assert (record.total, record.promised, record.uri) == (15, 15, "short")
    videos.close()


def test_a_corrupt_video_is_remembered_and_a_missing_one_found_when_it_comes(tmp_path: Path) -> None:
    (tmp_path / "noise.mp4").write_bytes(b"noise" * 1000)
    verdicts = VerdictCache(tmp_path / "verdicts")
    videos = VideoFolder(FrameConfig(tmp_path, frames=4, frame_size=28), verdicts)
    with pytest.raises(CorruptVideo):
        videos.prepare("noise")
    assert isinstance(verdicts.recall(tmp_path / "noise.mp4"), CorruptVideo)
    with pytest.raises(MissingVideo, match="video_map"):
        videos.prepare("later.mp4")
    write_counting_video(tmp_path / "later.mp4", count=15)
    assert len(videos.prepare("later.mp4").jpegs) == 4
    videos.close()


def test_frames_are_stored_at_their_own_aspect_ratio_with_the_size_of_each_video(tmp_path: Path) -> None:
    write_oblong_video(tmp_path / "flat.mp4", 90, 160)
    write_oblong_video(tmp_path / "upright.mp4", 640, 360)
    config = FrameConfig(tmp_path, frames=4, frame_size=224, aspect="own")
    videos = VideoFolder(config)
    flat, upright = (videos.prepare(name) for name in ("flat", "upright"))
    videos.close()
    assert (flat.record.height, flat.record.width) == (84, 168)  # nearest multiples of 28, not enlarged
    assert (upright.record.height, upright.record.width) == (280, 168)  # 224 x 224 pixels at most
    for video in (flat, upright):
        assert config.stores(video.record.height, video.record.width)
        assert not FrameConfig(tmp_path, frame_size=224).stores(video.record.height, video.record.width)
        for picture in video.jpegs:
            assert jpeg.decode(picture, video.record.height, video.record.width).shape[2] == 3


def test_an_endpoint_is_sent_smaller_frames_in_their_own_shape(tmp_path: Path) -> None:
    write_oblong_video(tmp_path / "flat.mp4", 112, 224)
    videos = VideoFolder(FrameConfig(tmp_path, frames=1, frame_size=224, aspect="own"))
    sent = _url(videos.prepare("flat"), 0, 4)
    videos.close()
    picture = Image.open(io.BytesIO(base64.b64decode(str(sent).split(",", 1)[1])))
    assert picture.size == (112, 56)


@pytest.mark.parametrize(
    ("options", "told"),
    [({"frame_multiple": 0}, "frame_multiple is 0"), ({"frame_multiple": 500}, "above frame_size 448")],
)
def test_multiples_that_no_frame_has_are_refused(options: dict[str, int], told: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=told):
        FrameConfig(tmp_path, aspect="own", **options)  # type: ignore[arg-type]
