"""A build's folder of videos: each decoded once, and what can never be decoded is not tried again."""

from pathlib import Path

import pytest

from tests.video.counting import write_counting_video
from videorouter.data_builders.videos import FrameConfig, VideoFolder
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
