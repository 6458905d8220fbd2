"""What a conversation shows, if it is one video, and what is said around it (ours)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from videorouter.routers.backbones.layout import Dialogue
from videorouter.serve.chat.content import FrameList, Other, Part, Picture, Text, VideoUrl, read_content
from videorouter.serve.chat.frame_texts import FrameTexts, read_frame_texts
from videorouter.serve.chat.typed_fields import TypedFields
from videorouter.serve.errors import RequestError

ROLES: Final = ("system", "developer", "user", "assistant", "tool", "function")
NO_VIDEO: Final = "no video"
ONE_PICTURE: Final = "one picture"
"""Why a request is not routed. A picture is shown all the same: as a video of one frame, where nobody else can be shown it."""
_SPOKEN: Final = {"developer": "system"}
_TOOLS: Final = ("tool", "function")


@dataclass(frozen=True)
class Message:
    """One message; `parts` has one entry for each of its content's."""

    role: str
    parts: tuple[Part, ...]
    calls_tools: bool = False

    @property
    def text(self) -> str:
        """All its text; parts begin on lines of their own, as vLLM joins them."""
        return "\n".join(part.text for part in self.parts if isinstance(part, Text) and part.text.strip())


@dataclass(frozen=True)
class Pictures:
    """The pictures of one message: the T frames of a video.

    `seconds` says when each is shown, where the texts between them or the request's other fields tell it of all. `between` are
    T + 1 texts: what is said before each frame and after the last, without labels of frames and without what follows the frames
    in the prompt, which is the request's `text`.
    """

    urls: tuple[str, ...]
    seconds: tuple[float, ...] | None = None
    between: tuple[str, ...] = ()


Shown: TypeAlias = VideoUrl | Pictures


@dataclass(frozen=True)
class Place:
    """Where the shown video stands: the number of its message, those of its parts, and what is left of texts without labels.

    `again` are (message, part) of further copies of the same video, as clients send that repeat a conversation's beginning.
    """

    message: int
    parts: tuple[int, ...]
    left: dict[int, str] = field(default_factory=dict)
    again: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Conversation:
    """Messages as they are understood.

    `shown` is the one video, at `place`; where there is none or more than one, `unrouted` says why. `text` is what the message
    that shows it asks, or the last user message where nothing is shown; `dialogue` is said around that message. `asked` is all
    that the last user message says, as far as it may hold a question.
    """

    shown: Shown | None
    place: Place | None
    unrouted: str | None
    text: str
    asked: str
    dialogue: Dialogue


def read_messages(messages: Any) -> tuple[Message, ...]:
    """Read `messages` of a request. Raises `RequestError` for a wrong type, an unknown role, or a message without content."""
    if not isinstance(messages, list) or not messages:
        raise RequestError("messages must be a list of at least one message", param="messages")
    return tuple(_read_message(message, f"messages[{number}]") for number, message in enumerate(messages))


def understand(messages: Sequence[Message], media_io: TypedFields | None) -> Conversation:
    """Find the one video and what is said around it; `media_io` is `media_io_kwargs.video`. Raises `RequestError` as `Pictures`."""
    last = max((number for number, message in enumerate(messages) if message.role == "user"), default=None)
    last_text = messages[last].text if last is not None else ""
    found = _one_video(messages)
    if isinstance(found, str):
        return Conversation(None, None, found, last_text, last_text, _around(messages, last))
    message = messages[found.message]
    first = message.parts[found.parts[0]]
    if isinstance(first, VideoUrl):
        return Conversation(first, found, None, message.text, last_text, _around(messages, found.message))
    if isinstance(first, FrameList):
        urls, seconds = _listed(first, media_io)
        halves = [_joined(message.parts[: found.parts[0]]), _joined(message.parts[found.parts[0] :])]
        texts = FrameTexts(seconds, {}, (halves[0], *[""] * (len(urls) - 1), halves[1]))
    else:
        urls = tuple(part.url for part in message.parts if isinstance(part, Picture))
        texts = read_frame_texts(message.parts)
    alone = ONE_PICTURE if len(urls) < 2 else None
    place = Place(found.message, found.parts, texts.left, found.again)
    between, text = _prompt_last(texts.between)
    asked = _asked(between, text) if found.message == last else last_text
    shown = Pictures(urls, texts.seconds, between)
    return Conversation(shown, place, alone, text, asked, _around(messages, found.message))


def _read_message(message: Any, place: str) -> Message:
    if not isinstance(message, dict):
        raise RequestError(f"{place} must be an object with role and content", param=place)
    role = message.get("role")
    if not isinstance(role, str) or role not in ROLES:
        raise TypedFields(message, place).wrong("role", f"one of {', '.join(ROLES)}")
    content, calls = message.get("content"), bool(message.get("tool_calls") or message.get("function_call"))
    if content is None and role == "assistant" and (calls or isinstance(message.get("refusal"), str)):
        said = message.get("refusal")
        return Message(role, (Text(said),) if isinstance(said, str) else (), calls)
    return Message(role, read_content(content, f"{place}.content"), calls)


def _one_video(messages: Sequence[Message]) -> Place | str:
    """Where the one video of a conversation is, or why there is none."""
    videos: dict[str | FrameList, list[tuple[int, int]]] = {}
    pictures: list[tuple[int, int]] = []
    others: list[str] = []
    for number, message in enumerate(messages):
        for place, part in enumerate(message.parts):
            if isinstance(part, VideoUrl | FrameList):
                videos.setdefault(part.url if isinstance(part, VideoUrl) else part, []).append((number, place))
            elif isinstance(part, Picture):
                pictures.append((number, place))
            elif isinstance(part, Other):
                others.append(part.kind)
    if not videos and not pictures:
        return others[0] if others else NO_VIDEO
    if len(videos) > 1:
        return "several videos"
    if videos and pictures:
        return "a video beside pictures"
    if others:
        return f"{'a video' if videos else 'pictures'} beside {others[0]}"
    if any(message.role in _TOOLS or message.calls_tools for message in messages):
        return "tool messages"
    places = next(iter(videos.values())) if videos else pictures
    if any(messages[number].role != "user" for number, _ in places):
        return "a video that is not in a user's message"
    if videos:
        (number, place), *again = places
        return Place(number, (place,), again=tuple(again))
    if len({number for number, _ in pictures}) > 1:
        return "pictures in several messages"
    return Place(pictures[0][0], tuple(place for _, place in pictures))


def _around(messages: Sequence[Message], number: int | None) -> Dialogue:
    """What is said around message `number`; what the system says first, in one or several messages, is put together.

    All stands before where there is no such message.
    """
    begin = 0
    while begin < len(messages) and messages[begin].role in ("system", "developer"):
        begin += 1
    system = "\n\n".join(message.text for message in messages[:begin]) if begin else None
    turns = [(_SPOKEN.get(message.role, message.role), message.text) for message in messages]
    end = len(messages) if number is None else number
    return Dialogue(system, tuple(turns[begin:end]), tuple(turns[end + 1 :]))


def _listed(frames: FrameList, media_io: TypedFields | None) -> tuple[tuple[str, ...], tuple[float, ...] | None]:
    """Frames of one part, as many as `media_io_kwargs.video` wants, and their seconds where it or the part tells them."""
    told = media_io or TypedFields({}, "media_io_kwargs.video")
    wanted = told.whole("num_frames", -1)
    urls = frames.urls[:wanted] if wanted is not None and wanted > 0 else frames.urls
    fps, total = told.number("fps", 1e-6, 1e6) or frames.fps, told.whole("total_num_frames", 1)
    duration, indices = told.number("duration", 0, 1e9), told.values.get("frames_indices")
    if indices is not None and not (
        isinstance(indices, list)
        and len(indices) == len(urls)
        and all(isinstance(index, int) and not isinstance(index, bool) for index in indices)
    ):
        raise told.wrong("frames_indices", f"a list of {len(urls)} whole numbers, one for each frame that is sent")
    if fps is None and duration and total:
        fps = total / duration
    if fps is None:
        return urls, None
    seconds = tuple(index / fps for index in (range(len(urls)) if indices is None else indices))
    return urls, seconds if seconds[0] >= 0 and list(seconds) == sorted(seconds) else None


def _joined(parts: Sequence[Part]) -> str:
    return Message("user", tuple(parts)).text


def _prompt_last(between: tuple[str, ...]) -> tuple[tuple[str, ...], str]:
    """The texts around the frames without the prompt, and the prompt: what follows the last, or else precedes the first."""
    if between[-1].strip():
        return (*between[:-1], ""), between[-1]
    return ("", *between[1:]), between[0]


def _asked(between: tuple[str, ...], text: str) -> str:
    """Where only what precedes the frames has a question mark, the question stands there, and behind them how to answer it."""
    return f"{between[0]}\n{text}" if "?" in between[0] and "?" not in text else text
