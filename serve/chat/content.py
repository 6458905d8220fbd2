"""A message's content as parts: text, pictures, videos, sound, in every form that clients are known to write (ours)."""

from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from videorouter.serve.chat.json_limits import holds_embeddings
from videorouter.serve.chat.media_kind import kind_of, mime_type
from videorouter.serve.chat.typed_fields import LONGEST_NAME, TypedFields
from videorouter.serve.errors import RequestError


@dataclass(frozen=True)
class Text:
    """Something said."""

    text: str


@dataclass(frozen=True)
class Picture:
    """One picture: a data:, http(s):// or file:// URL."""

    url: str


@dataclass(frozen=True)
class VideoUrl:
    """A video: a data:, http(s):// or file:// URL or the ID of an uploaded file; `uuid` is the client's own name for it."""

    url: str
    uuid: str | None = None


@dataclass(frozen=True)
class FrameList:
    """Frames in one part: vLLM's `data:video/jpeg;base64,F1,F2,...`, or a list of pictures; `fps` where the part says it."""

    urls: tuple[str, ...]
    fps: float | None = None


@dataclass(frozen=True)
class Other:
    """What is passed on and not looked at; `kind` as one would call it in a sentence."""

    kind: str


Part: TypeAlias = Text | Picture | VideoUrl | FrameList | Other

_TEXTS: Final = {"text": "text", "input_text": "text", "output_text": "text", "refusal": "refusal"}
_VIDEOS: Final = ("video_url", "video", "input_video")
_PICTURES: Final = ("image_url", "image", "input_image")
_FILES: Final = ("file", "input_file")
_SOUNDS: Final = ("audio_url", "input_audio", "audio")
_UNSEEN: Final = ("thinking", "reasoning", "tool_reference")
_KNOWN: Final = (*_TEXTS, *_VIDEOS, *_PICTURES, *_FILES, *_SOUNDS, *_UNSEEN)
_MEDIA: Final = (*_VIDEOS, *_PICTURES, *_SOUNDS, "file", "image_pil")
_BORROWED: Final = {"input_video": "video_url", "input_image": "image_url"}
"""Types that hold their URL under another's name."""
_URLS: Final = ("url", "video_url", "image_url", "file_url")
_CONTENTS: Final = ("data", "base64", "file_data", "video_data", "image_data")


def read_content(content: Any, place: str) -> tuple[Part, ...]:
    """The parts of a message's `content`, a string or a list, one for each of a list's entries.

    `place` is the content's own in the body. Raises `RequestError` for anything else, for embeddings, and for a part that holds
    media under two names: an engine might read another of them than we do.
    """
    if isinstance(content, str):
        return (Text(content),)
    if not isinstance(content, list) or not content:
        raise RequestError(f"{place} must be text or a list of parts that is not empty", param=place)
    return tuple(_read_part(part, f"{place}[{number}]") for number, part in enumerate(content))


def _read_part(part: Any, place: str) -> Part:
    if isinstance(part, str):  # LangChain sends them, vLLM takes them
        return Text(part)
    if not isinstance(part, dict):
        raise RequestError(f"{place} must be text or an object with a type", param=place)
    fields, kind = TypedFields(part, place), _type_of(part, place)
    for name in _MEDIA:
        if part.get(name) is not None and name not in (kind, _BORROWED.get(kind)):
            raise RequestError(
                f"{fields.param(name)} stands in a part of type {kind!r}: send one part for each",
                param=fields.param(name),
            )
    if kind in _TEXTS:
        text = part.get(_TEXTS[kind])
        if not isinstance(text, str):
            raise fields.wrong(_TEXTS[kind], "text")
        return Text(text)
    if kind in _SOUNDS:
        return Other("sound")
    if kind in _UNSEEN:
        return Other(f"a part of type {kind!r}")
    return _read_media(fields, kind)


def _type_of(part: dict[str, Any], place: str) -> str:
    """The type, or, as vLLM has it, the one media key of a part that says none."""
    kind = part.get("type")
    if kind is None:
        kind = next(
            (name for name in ("video_url", "image_url", "audio_url", "input_audio", "text") if name in part), None
        )
    if isinstance(kind, str) and kind in _KNOWN:
        return kind
    if isinstance(kind, str) and holds_embeddings(kind):
        raise RequestError(
            f"{place} carries embeddings, which are not taken from clients: send the video or its frames", param=place
        )
    raise TypedFields(part, place).wrong("type", f"one of {', '.join(_KNOWN)}")


def _read_media(fields: TypedFields, kind: str) -> Part:
    uuid = fields.text("uuid", LONGEST_NAME)
    held = fields.values.get(kind)
    if kind in _VIDEOS and isinstance(held, list):
        return _listed_frames(fields, kind, held)
    url, param = _source(fields, kind)
    found = kind_of(url)
    if found == "tensor" and (kind not in _FILES or "embed" in mime_type(url)):
        raise RequestError(
            f"{param} is no picture or video, but data that would be deserialised: send media", param=param
        )
    if kind in _VIDEOS or (kind in _FILES and (found == "video" or not _says_what_it_is(url))) or found == "video":
        if mime_type(url) == "video/jpeg" and url[:5].lower() == "data:":
            return FrameList(tuple(f"data:image/jpeg;base64,{frame}" for frame in url.partition(",")[2].split(",")))
        return VideoUrl(url, uuid)
    if kind in _PICTURES or found == "picture":
        return Picture(url)
    return Other("sound" if found == "audio" else "a file that is no video")


def _says_what_it_is(url: str) -> bool:
    """Whether a file that is not seen to be a video is known to be something else: an ID is not."""
    return url[:5].lower() == "data:" or "://" in url


def _listed_frames(fields: TypedFields, kind: str, held: list[Any]) -> FrameList:
    """Qwen's way: `{"type": "video", "video": [picture, picture, ...], "fps": 2.0}`."""
    if not held or not all(isinstance(url, str) and url for url in held):
        raise fields.wrong(kind, "a video's URL, or a list of its frames' URLs")
    return FrameList(tuple(held), fields.number("fps", 1e-6, 1e6))


def _source(fields: TypedFields, kind: str) -> tuple[str, str]:
    """The URL or file ID of a part, and the field that it comes from, or the URL made of the bytes that the part holds."""
    name = _BORROWED.get(kind, kind) if fields.values.get(kind) is None else kind
    held = fields.values.get(name)
    if isinstance(held, str):
        return _checked(held, fields, name), fields.param(name)
    if held is not None and not isinstance(held, dict):
        raise fields.wrong(name, "a URL, or an object with a url")
    inner = fields if held is None else TypedFields(held, fields.param(name))
    for key in _URLS:
        if inner.values.get(key) is not None:
            return _checked(inner.values[key], inner, key), inner.param(key)
    for key in _CONTENTS:
        if inner.values.get(key) is not None:
            content = _checked(inner.values[key], inner, key)
            return (
                content if content[:5].lower() == "data:" else f"data:{_mime(inner)};base64,{content}"
            ), inner.param(key)
    identifier = "id" if inner.values.get("source_type") == "id" else "file_id"
    if (file := inner.text(identifier, LONGEST_NAME)) is not None:
        return file, inner.param(identifier)
    if kind in _FILES:
        raise RequestError(f"{inner.place} has neither file_id nor file_data: give one", param=inner.place)
    missing = fields.param(f"{name}.url")
    raise RequestError(f"{missing} is missing: give a data:, http(s):// or file:// URL", param=missing)


def _checked(value: Any, fields: TypedFields, name: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise fields.wrong(name, "a URL" if name not in _CONTENTS else "base64")
    return value


def _mime(fields: TypedFields) -> str:
    """Of content without one: LangChain says `mime_type`, others a `format`."""
    mime, form = fields.values.get("mime_type"), fields.values.get("format")
    if isinstance(mime, str) and "/" in mime:
        return mime.partition(",")[0]
    return f"video/{form}" if isinstance(form, str) and form.isalnum() else "application/octet-stream"
