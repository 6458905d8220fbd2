"""A file that only names other files gives no frame of theirs, and nothing else is opened for it, here or over a network."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import av
import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse
from starlette.routing import Route

from tests.loopback.serving import served
from tests.video.counting import shown, write_counting_video
from tests.video.external_track import keep_frames_elsewhere
from videorouter.video.decode import decoders, sample_frames
from videorouter.video.errors import CorruptVideo, ForbiddenContainer, VideoError
from videorouter.video.pyav import frame_shape
from videorouter.video.verdict_cache import VerdictCache

HLS = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:6\n#EXTINF:6,\n{target}\n#EXT-X-ENDLIST\n"
CONCAT = "ffconcat version 1.0\nfile '{target}'\n"
DASH = (
    '<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" profiles="urn:mpeg:dash:profile:isoff-on-demand:2011"'
    ' type="static" mediaPresentationDuration="PT6S"><Period><AdaptationSet mimeType="video/mp4"><Representation id="v"'
    ' bandwidth="1"><BaseURL>{target}</BaseURL></Representation></AdaptationSet></Period></MPD>\n'
)
SDP = "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n"
LISTS = {
    "list.m3u8": HLS,
    "list.mp4": HLS,
    "list": HLS,
    "marked.m3u8": "\ufeff" + HLS,
    "list.ffconcat": CONCAT,
    "concat.mp4": CONCAT,
    "manifest.mpd": DASH,
    "manifest.mp4": DASH,
    "session.sdp": SDP,
    "list.pls": "[playlist]\nFile1={target}\n",
}


class CountingServer:
    """A folder over HTTP that remembers what it was asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.asked, self.url = folder, list[str](), ""
        self.application = Starlette(routes=[Route("/{name}", self._serve, methods=["GET", "HEAD"])])

    async def _serve(self, request: Request) -> FileResponse:
        self.asked.append(request.path_params["name"])
        return FileResponse(self.folder / request.path_params["name"])


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return write_counting_video(tmp_path / "target.ts", codec="mpeg2video")


@pytest.fixture
def server(video: Path) -> Iterator[CountingServer]:
    server = CountingServer(video.parent)
    with served(server.application) as server.url:
        yield server


@pytest.mark.parametrize("way", ["by name", "by path", "by file URL", "over HTTP"])
@pytest.mark.parametrize("name", LISTS)
def test_a_list_of_other_files_is_refused_and_not_followed(
    name: str, way: str, video: Path, server: CountingServer, tmp_path: Path
) -> None:
    target = {"by name": video.name, "by path": str(video), "by file URL": f"file:{video}", "over HTTP": ""}[way]
    path = tmp_path / name
    path.write_text(LISTS[name].format(target=target or f"{server.url}/target.ts"), encoding="utf-8")
    with pytest.raises(ForbiddenContainer, match="names other files"):
        sample_frames(path, 4)
    with pytest.raises(ForbiddenContainer):
        frame_shape(path)
    for decoder in decoders():  # each alone, as none may lean on another having been asked before
        with pytest.raises(ForbiddenContainer):
            decoder.read(path, lambda starts: [0], None)
    assert server.asked == []


@pytest.mark.parametrize("name", ["list.m3u8", "list.ffconcat"])
def test_ffmpeg_itself_would_follow_them(name: str, video: Path, server: CountingServer, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(LISTS[name].format(target=video.name))
    with av.open(str(path)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 60
    path.write_text(LISTS[name].format(target=f"{server.url}/target.ts"))
    whitelist = {"protocol_whitelist": "file,http,tcp", "safe": "0"}
    with suppress(ValueError), av.open(str(path), options=whitelist) as container:
        next(container.decode(video=0))
    assert server.asked


def test_a_list_hidden_from_our_own_look_is_refused_by_ffmpeg_and_not_shown_to_decord(
    video: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("videorouter.video.containers.LISTS", {})
    for name in ("list.m3u8", "list.mp4", "list.ffconcat"):
        path = tmp_path / name
        path.write_text(LISTS[name].format(target=video.name))
        with pytest.raises(CorruptVideo if name == "list.mp4" else ForbiddenContainer):
            sample_frames(path, 4)
        for decoder in decoders():
            with pytest.raises(ValueError, match=r"asked only for|none of those|Invalid"):
                decoder.read(path, lambda starts: [0], None)


def test_pictures_whose_name_is_a_pattern_are_no_video(tmp_path: Path) -> None:
    from PIL import Image

    for name in ("shot1.png", "shot2.png", "shot%d.png"):
        Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(tmp_path / name)
    with av.open(str(tmp_path / "shot%d.png")) as container:
        assert sum(1 for _ in container.decode(video=0)) == 2
    with pytest.raises(ForbiddenContainer, match="none of those that are read"):
        sample_frames(tmp_path / "shot%d.png", 2)
    for decoder in decoders():
        with pytest.raises(ValueError, match=r"none of those|asked only for"):
            decoder.read(tmp_path / "shot%d.png", lambda starts: [0], None)


@pytest.mark.parametrize(
    "name",
    [
        "concat:a.mp4|b.mp4",
        "subfile,,start,0,end,9,,:a.mp4",
        "data:video,abc",
        "pipe:0",
        "-",
        "cache:a.mp4",
        "shot%d.mp4",
    ],
)
def test_a_name_that_is_a_protocol_to_ffmpeg_is_a_files_name(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    write_counting_video(tmp_path / "odd.mp4").rename(tmp_path / name)
    for other in ("a.mp4", "b.mp4", "shot1.mp4"):
        write_counting_video(tmp_path / other, count=20)
    for path in (Path(name), tmp_path / name):
        assert sample_frames(path, 4).total == 60
        for decoder in decoders():
            assert decoder.read(path, lambda starts: [0, len(starts) - 1], None).total == 60


def test_an_address_given_as_a_path_is_a_missing_file(server: CountingServer) -> None:
    for name in (f"{server.url}/target.ts", f"concat:{server.url}/target.ts", "lavfi:testsrc", "testsrc"):
        with pytest.raises(VideoError, match="no such file"):
            sample_frames(name, 4)
        with pytest.raises(OSError, match="No such file"):
            frame_shape(Path(name))
    assert server.asked == []


def test_a_track_kept_in_another_file_is_not_read_from_there(tmp_path: Path) -> None:
    whole = write_counting_video(tmp_path / "whole.mov", gop=10)
    path = keep_frames_elsewhere(whole, tmp_path / "hollow.mov")
    with av.open(str(path), options={"enable_drefs": "1", "use_absolute_path": "1"}) as container:
        assert sum(1 for _ in container.decode(video=0)) == 60
    with pytest.raises(VideoError):
        sample_frames(path, 4)
    for decoder in decoders():
        with pytest.raises(Exception, match=r"(?i)keyframe|decode|cannot create"):
            decoder.read(path, lambda starts: [0], None)


def test_subtitles_that_lie_beside_a_video_are_left_alone(tmp_path: Path) -> None:
    path = write_counting_video(tmp_path / "film.mkv")
    (tmp_path / "film.idx").write_text("# VobSub index file, v7\n")
    assert shown(sample_frames(path, 4)) == sample_frames(path, 4).indices
    with pytest.raises(ForbiddenContainer, match="none of those that are read"):
        sample_frames(tmp_path / "film.idx", 4)


def test_a_refusal_is_remembered_as_permanent(video: Path, tmp_path: Path) -> None:
    path = tmp_path / "list.m3u8"
    path.write_text(HLS.format(target=video.name))
    verdicts = VerdictCache(tmp_path / "verdicts")
    with pytest.raises(ForbiddenContainer), verdicts.consulted(path):
        sample_frames(path, 4)
    assert isinstance(verdicts.recall(path), ForbiddenContainer)
