"""Permanent verdicts are remembered until the file changes; retryable ones never."""

import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from videorouter.video.errors import (
    CorruptVideo,
    EmptyVideo,
    MissingVideo,
    TooShortVideo,
    VideoError,
    VideoOutOfMemory,
    VideoTimeout,
)
from videorouter.video.verdict_cache import VerdictCache

ROOT = Path(__file__).parents[2]


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "video.mp4"
    path.write_bytes(b"no video at all")
    return path


@pytest.fixture
def verdicts(tmp_path: Path) -> VerdictCache:
    return VerdictCache(tmp_path / "verdicts")


def fail(verdicts: VerdictCache, error: VideoError) -> None:
    with pytest.raises(type(error)), verdicts.consulted(error.path):
        raise error


def is_tried(verdicts: VerdictCache, video: Path, shortest: float = 0.0) -> bool:
    tried = False
    try:
        with verdicts.consulted(video, shortest):
            tried = True
    except VideoError:
        pass
    return tried


@pytest.mark.parametrize("kind", [CorruptVideo, EmptyVideo])
def test_a_permanent_verdict_is_given_again_without_a_second_try(
    kind: type[VideoError], verdicts: VerdictCache, video: Path
) -> None:
    assert is_tried(verdicts, video)
    fail(verdicts, kind(video, "of no use"))
    with pytest.raises(kind, match=r"video\.mp4: of no use"), VerdictCache(verdicts.folder).consulted(video):
        raise AssertionError("it is tried again")


@pytest.mark.parametrize("kind", [MissingVideo, VideoTimeout, VideoOutOfMemory])
def test_a_retryable_verdict_is_tried_again(kind: type[VideoError], verdicts: VerdictCache, video: Path) -> None:
    fail(verdicts, kind(video, "this time"))
    assert is_tried(verdicts, video)


def test_a_file_of_another_size_is_tried_again(verdicts: VerdictCache, video: Path) -> None:
    fail(verdicts, CorruptVideo(video, "of no use"))
    video.write_bytes(b"something longer than before")
    assert is_tried(verdicts, video)


def test_a_touched_file_is_tried_again_only_if_its_contents_differ(verdicts: VerdictCache, video: Path) -> None:
    fail(verdicts, CorruptVideo(video, "of no use"))
    os.utime(video, ns=(1, 1))
    assert not is_tried(verdicts, video)
    video.write_bytes(video.read_bytes()[::-1])
    assert is_tried(verdicts, video)


def test_a_file_that_changed_while_it_was_tried_is_tried_again(verdicts: VerdictCache, video: Path) -> None:
    with suppress(CorruptVideo), verdicts.consulted(video):
        video.write_bytes(b"the download went on")
        raise CorruptVideo(video, "half a file")
    assert is_tried(verdicts, video)


def test_too_short_is_remembered_as_a_length_whatever_is_wanted_later(verdicts: VerdictCache, video: Path) -> None:
    fail(verdicts, TooShortVideo(video, 1.5, 2.0))
    assert not is_tried(verdicts, video, 2.0)
    assert not is_tried(verdicts, video, 1.6)
    assert is_tried(verdicts, video, 1.5)
    assert is_tried(verdicts, video)


def test_a_damaged_memory_is_as_good_as_none(verdicts: VerdictCache, video: Path) -> None:
    fail(verdicts, CorruptVideo(video, "of no use"))
    for damaged in ("", "[]", '{"size": 15}'):
        next(verdicts.folder.glob("*.json")).write_text(damaged)
        assert is_tried(verdicts, video)
    fail(verdicts, CorruptVideo(video, "of no use"))
    assert not is_tried(verdicts, video)


def test_killed_processes_that_share_a_folder_leave_whole_verdicts_and_nothing_to_sweep_up(
    verdicts: VerdictCache, video: Path
) -> None:
    program = (
        "import sys\n"
        "from videorouter.video.errors import CorruptVideo\n"
        "from videorouter.video.verdict_cache import VerdictCache\n"
        "verdicts = VerdictCache(sys.argv[1])\n"
        "print('ready', flush=True)\n"
        "while True:\n"
        "    verdicts._remember(sys.argv[2], CorruptVideo(sys.argv[2], 'of no use'), dict(size=0, mtime_ns=0) | STAT)\n"
    ).replace("STAT", "__import__('videorouter.video.verdict_cache').video.verdict_cache._stat(sys.argv[2])")
    writers = [
        subprocess.Popen([sys.executable, "-c", program, verdicts.folder, video], cwd=ROOT, stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    for writer in writers:
        assert writer.stdout is not None
        writer.stdout.readline()
    time.sleep(0.5)
    for writer in writers:
        assert writer.poll() is None
        writer.kill()
        writer.communicate()
    (verdicts.folder / f".{next(verdicts.folder.glob('[!.]*.json')).name}").write_text('{"si')
    fail(verdicts, CorruptVideo(video, "of no use"))
    assert not is_tried(verdicts, video)
    assert len(list(verdicts.folder.iterdir())) == 1
