"""A video is decoded while another is at work, told broken when its turn comes, and not decoded again where it is remembered."""

import threading
from pathlib import Path

import pytest

from videorouter.eval.running.video_cache import VideoCache
from videorouter.routers.answering.video_router import VideoRouter
from videorouter.video.errors import VideoError
from videorouter.video.frames import SampledFrames


@pytest.fixture
def decoded(router: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[VideoRouter, list[tuple[str, str]]]:
    """A router, and what it decoded on which thread."""
    loaded, seen = VideoRouter.from_pretrained(router), []
    sample = loaded.sample

    def noted(video: str | Path) -> SampledFrames:
        seen.append((Path(video).name, threading.current_thread().name))
        return sample(video)

    monkeypatch.setattr(loaded, "sample", noted)
    return loaded, seen


def test_the_next_video_is_decoded_beside_the_model_and_the_last_stays_at_hand(
    world: Path, decoded: tuple[VideoRouter, list[tuple[str, str]]]
) -> None:
    (loaded, seen), (first, second, *_) = decoded, sorted((world / "videos").iterdir())
    cache = VideoCache(loaded)
    for video in (first, second):
        cache.prefetch(video)
    tokens = cache.watch(first).all_tokens
    assert cache.watch(first).all_tokens is tokens
    assert cache.watch(second).decode_seconds > 0
    assert [name for name, _ in seen] == [first.name, second.name]
    assert all(thread.startswith("decode ahead") for _, thread in seen)
    assert (tokens == loaded.watch(first).all_tokens).all()


def test_the_first_videos_are_remembered(world: Path, decoded: tuple[VideoRouter, list[tuple[str, str]]]) -> None:
    (loaded, seen), (first, second, *_) = decoded, sorted((world / "videos").iterdir())
    cache = VideoCache(loaded, capacity=1)
    for video in (first, second, first, second):
        cache.prefetch(video)
        cache.watch(video)
    assert [name for name, _ in seen] == [first.name, second.name, second.name]


def test_a_broken_video_is_told_when_it_is_its_turn(
    tmp_path: Path, decoded: tuple[VideoRouter, list[tuple[str, str]]]
) -> None:
    cache = VideoCache(decoded[0])
    broken = tmp_path / "broken.mkv"
    broken.write_bytes(b"no video")
    cache.prefetch(broken)
    for _ in range(2):
        with pytest.raises(VideoError, match=r"broken\.mkv"):
            cache.watch(broken)
