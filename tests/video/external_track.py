"""A QuickTime file whose track says that its frames are in another file, as editors' reference movies do."""

from pathlib import Path

PARENTS = (b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref")


def keep_frames_elsewhere(whole: Path, path: Path) -> Path:
    """`path` with all of `whole` but its frames: these are zeros, and an alias of Macintosh names `whole` as their place."""
    data = bytearray(whole.read_bytes())
    frames = data.index(b"mdat")
    assert frames < data.index(b"moov")  # what is inserted below moves no frame
    data[frames + 4 : frames - 4 + _size(data, frames)] = bytes(_size(data, frames) - 8)
    alias = _alias(whole)
    entry = data.index(b"dref") + 12
    old = _size(data, entry + 4)
    for box in PARENTS:
        place = data.index(box)
        data[place - 4 : place] = (_size(data, place) + len(alias) - old).to_bytes(4, "big")
    data[entry : entry + old] = alias
    path.write_bytes(data)
    return path


def _size(data: bytes | bytearray, name: int) -> int:
    return int.from_bytes(data[name - 4 : name], "big")


def _alias(target: Path) -> bytes:
    """A `dref` entry with the absolute path of `target`, of more than the 150 bytes that ffmpeg asks of one."""
    where, name = str(target).encode(), target.name.encode()
    body = bytes(10) + bytes([4]) + b"disk".ljust(27, b"\0") + bytes(12)
    body += bytes([len(name)]) + name.ljust(63, b"\0") + bytes(16) + (1).to_bytes(2, "big") * 2 + bytes(16)
    for kind, value in ((2, where), (0xFFFF, b"")):
        body += kind.to_bytes(2, "big") + len(value).to_bytes(2, "big") + value + bytes(len(value) % 2)
    return (12 + len(body)).to_bytes(4, "big") + b"alis" + bytes(4) + body
