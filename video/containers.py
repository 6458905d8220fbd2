"""Which files are opened at all: containers that hold their frames themselves, never lists that make ffmpeg open other files."""

import os
from pathlib import Path

from videorouter.video.errors import ForbiddenContainer

CONTAINERS = (
    *("mov", "matroska", "avi", "mpegts", "mpeg", "flv", "ogg", "asf", "mxf", "nut", "dv", "rm", "gif"),
    *("mpegvideo", "m4v", "h264", "hevc", "av1", "obu", "ivf", "mjpeg", "yuv4mpegpipe"),  # single streams
)
"""ffmpeg's names of the demuxers that may be used; none of them opens anything beside the file it was given."""

OPTIONS = {"format_whitelist": ",".join(CONTAINERS), "protocol_whitelist": "file"}
"""For PyAV. External tracks of mov files stay closed by ffmpeg's own default (`enable_drefs`)."""

EXTENSIONS = (
    *(".mp4", ".mkv", ".webm", ".avi", ".mov"),  # looked for in this order
    *(".m4v", ".qt", ".3gp", ".3g2", ".f4v", ".mk3d", ".divx", ".flv", ".wmv", ".asf", ".ogv", ".ogm", ".gif"),
    *(".ts", ".mts", ".m2ts", ".m2t", ".mpg", ".mpeg", ".mpe", ".m1v", ".m2v", ".mpv", ".vob"),
    *(".mxf", ".nut", ".dv", ".rm", ".rmvb"),
    *(".264", ".h264", ".avc", ".265", ".h265", ".hevc", ".obu", ".ivf", ".mjpg", ".mjpeg", ".y4m"),
)
"""How names of video files end, in lower case: of the containers that are read, and in no other place."""


def without_extension(name: str) -> str:
    """A file's name without a video's extension, in whatever case; other names as they are."""
    stem, dot, ending = name.rpartition(".")
    return stem if dot and stem and f".{ending}".lower() in EXTENSIONS else name


HEAD = 4096
LISTS = {
    b"#EXTM3U": "an HLS playlist",
    b"ffconcat": "a list for ffmpeg's concat",
    b"<": "an XML document such as a DASH manifest",
    b"v=0": "an SDP session",
    b"[playlist]": "a playlist",
    b"[reference]": "a playlist",
}
SOUNDS = (b"ID3", b"fLaC", b"\xff\xfb", b"\xff\xf3", b"\xff\xf2", b"\xff\xf1", b"\xff\xf9", b"MAC ", b"wvpk")
"""First bytes of MP3, FLAC, AAC, Monkey's Audio and WavPack, whose only pictures are covers."""
MOV_BOXES = frozenset({b"ftyp", b"moov", b"mdat", b"wide", b"free", b"pnot"})
"""First boxes that no demuxer takes for anything else."""


def local_url(path: str | Path) -> str:
    """A name that ffmpeg opens as this file, also where the file is called `concat:a|b`, `http:` or `-`."""
    return "file:" + os.path.abspath(path)


def refuse_lists(path: Path, head: bytes) -> None:
    """`head` is the first `HEAD` bytes of the file. Raises `ForbiddenContainer` where they begin a list of other files."""
    begin = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    for mark, what in LISTS.items():
        if begin[: len(mark)].lower() == mark.lower():
            raise ForbiddenContainer(
                path,
                f"it is {what}, which names other files instead of holding frames, and is not followed; "
                "give the video file itself",
            )


def sound_only(head: bytes) -> bool:
    """Whether a file that begins so is one of sound, which may carry a cover and nothing that moves."""
    return head.startswith(SOUNDS) or (head.startswith((b"RIFF", b"RF64")) and head[8:12] == b"WAVE")


def is_plain(head: bytes) -> bool:
    """Whether every ffmpeg, of whatever age, takes it for mp4 or mov, Matroska or WebM, AVI or FLV, whatever its name is."""
    return (
        head[4:8] in MOV_BOXES
        or (head.startswith(b"\x1aE\xdf\xa3") and (b"matroska" in head[:64] or b"webm" in head[:64]))
        or (head.startswith(b"RIFF") and head[8:12] == b"AVI ")
        or is_flash(head)
    )


def is_flash(head: bytes) -> bool:
    """Whether it is FLV."""
    return head.startswith(b"FLV\x01")
