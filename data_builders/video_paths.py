"""From the name of a video to its file: names people write are looked up in one folder, and lead nowhere else unless allowed."""

from collections.abc import Iterator
from pathlib import Path

from videorouter.json_files import read_object
from videorouter.video.containers import EXTENSIONS
from videorouter.video.errors import MissingVideo, OutsideVideo

SPELLINGS = (*EXTENSIONS, *(extension.upper() for extension in EXTENSIONS))
"""What is added to a name without an extension, in this order."""
REPLACED = "\N{REPLACEMENT CHARACTER}"


class VideoPaths:
    """Finds the files of videos under `folder`; `video_map` names those that are called otherwise there."""

    def __init__(self, folder: Path, video_map: Path | None = None, allow_outside: bool = False) -> None:
        """Raises `ValueError` for a map that is no JSON object of names."""
        self.folder, self.allow_outside = folder, allow_outside
        self._root = folder.resolve()
        self._names: dict[str, str] = read_object(video_map) if video_map else {}
        for name, file in self._names.items():
            if not isinstance(file, str):
                raise ValueError(f"{video_map}: {name!r} is mapped to {file!r}: give the file's path as text")

    def find(self, name: str) -> Path:
        """The file of a video: mapped, as given, or with an extension added.

        Raises `MissingVideo` where there is none or the system refuses its name, `OutsideVideo` where it lies elsewhere.
        """
        given = Path(self._names.get(name, name))
        if not self.allow_outside and (given.is_absolute() or ".." in given.parts):
            raise OutsideVideo(given, f"it leads out of {self.folder}; give --allow_outside to follow it")
        path = self.folder / given
        try:
            found = next((candidate for candidate in _candidates(path) if candidate.is_file()), None)
            if found is not None and not self.allow_outside and not found.resolve().is_relative_to(self._root):
                target = found.resolve()
                raise OutsideVideo(
                    path, f"it is a link to {target}, out of {self.folder}; give --allow_outside to follow it"
                )
        except OSError as error:  # a name too long for the file system, a folder that may not be read
            raise MissingVideo(path, f"it cannot be looked up: {error.strerror}") from error
        if found is None:
            raise MissingVideo(path, _why_missing(path))
        return found


def writable_name(name: str) -> str:
    """A file's name as text that any file can hold: bytes that are no UTF-8 are replaced, and the name is found no more."""
    return name.encode(errors="surrogateescape").decode(errors="replace")


def _candidates(path: Path) -> Iterator[Path]:
    yield path
    if path.name not in ("", ".."):
        yield from (path.with_name(path.name + spelling) for spelling in SPELLINGS)


def _why_missing(path: Path) -> str:
    if "\0" in str(path):
        return "no file can be called so: the name holds a zero byte"
    if REPLACED in str(path):
        return "no such file; where its name is not UTF-8, rename it"
    return "no such file, nor with a video's extension added; see --video_map"
