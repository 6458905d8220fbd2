"""A chat request: what is shown, what is asked, how it is to be routed and answered (OpenAI's API, vLLM's fields, ours)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

from videorouter.routers.answering.prompt_parsing import extract_question
from videorouter.routers.backbones.layout import Dialogue
from videorouter.serve.chat.allowed_fields import ALLOWED, EXTENSION, OF_THE_VIDEO
from videorouter.serve.chat.conversation import Place, Shown, read_messages, understand
from videorouter.serve.chat.json_limits import refuse_unfit
from videorouter.serve.chat.typed_fields import LONGEST_NAME, TypedFields
from videorouter.serve.errors import RequestError
from videorouter.shards.policy import POLICIES, Policy

_READ: Final = frozenset(
    (
        *("messages", "model", "max_completion_tokens", "max_tokens", "n", "seed", "stop", "stream"),
        *("stream_options", "temperature", "top_p"),
    )
)
"""Fields that have a place of their own in a `ChatRequest`."""
_ROUTING: Final = ("system", "budget", "policy", "frames", "question")
_MOST_STOPS: Final = 16
_LONGEST_PROMPT: Final = 200_000
"""Characters of a prompt, from its end, in which a question is looked for: the subtitles of hours stand above it."""


@dataclass(frozen=True)
class RoutingRequest:
    """The extension `videorouter`: what the client wants of routing, None where it leaves that to the server.

    `budget` in visual tokens, `frames` to sample; `question` is what routers read in place of the prompt's.
    """

    system: str | None = None
    budget: int | None = None
    policy: Policy | None = None
    frames: int | None = None
    question: str | None = None


@dataclass(frozen=True)
class ChatRequest:
    """A request as it is understood.

    Args:
        body: as it was received
        model: the name that is asked for
        shown: the one video of the conversation; where None, `unrouted` says why, as "no video" or "several videos"
        unrouted: why the request is not routed
        dialogue: what is said around the message that shows the video, or around the last user message where none is shown
        text: what that message says: all of it for a `VideoUrl`; for `Pictures` what follows the last, or, where nothing does,
            precedes the first (what else is said between them is `shown.between`)
        asked_text: what the last user message says, from which `question` is taken; `text`, but for later turns about a video
        question: for the routers, None where nothing is shown
        options: of a multiple-choice question, without their letters
        stream: whether the answer is streamed, and `include_usage` whether its last chunk says the usage
        max_tokens: most tokens of the answer: the smaller of `max_completion_tokens` and `max_tokens`, so that neither is passed
        temperature, top_p, seed, stop, n: as OpenAI has them
        routing: the extension
        num_frames: most frames to sample of a video file, as vLLM's `media_io_kwargs` have it; None for -1, which is all
        more: all other fields that are known, as received
        dropped: names of fields that are not, sorted
        place: where in `body` the video stands
    """

    body: Mapping[str, Any] = field(repr=False)
    model: str | None
    shown: Shown | None = field(repr=False)
    unrouted: str | None
    dialogue: Dialogue = field(repr=False)
    text: str = field(repr=False)
    asked_text: str = field(repr=False)
    question: str | None = field(repr=False)
    options: tuple[str, ...] | None = field(repr=False)
    stream: bool
    include_usage: bool
    max_tokens: int | None
    temperature: float | None
    top_p: float | None
    seed: int | None
    stop: tuple[str, ...]
    n: int
    routing: RoutingRequest = field(repr=False)
    num_frames: int | None
    more: Mapping[str, Any] = field(repr=False)
    dropped: tuple[str, ...]
    place: Place | None = field(repr=False)


def parse_chat(body: Any) -> ChatRequest:
    """Read the JSON body of a chat request.

    Raises `RequestError`, whose `param` names the field, for a wrong type or value, for what no body may hold (`refuse_unfit`),
    for unknown keys of the extension, and for a video about which nothing is asked.
    """
    refuse_unfit(body)
    if not isinstance(body, dict):
        raise RequestError("the body must be a JSON object with model and messages")
    fields = TypedFields(body)
    media_io = fields.fields("media_io_kwargs")
    video_io = media_io and media_io.fields("video")
    said = understand(read_messages(body.get("messages")), video_io)
    routing = _routing(fields)
    question, options = routing.question, None
    if said.shown is not None and question is None:
        if not said.asked.strip() and said.unrouted is None:
            raise RequestError(
                "messages show a video and ask nothing about it: add a text part with a question to the last user message",
                param="messages",
            )
        question, options = extract_question(said.asked[-_LONGEST_PROMPT:])
    stream = fields.flag("stream") or False
    return ChatRequest(
        body=body,
        model=fields.text("model", LONGEST_NAME),
        shown=said.shown,
        unrouted=said.unrouted,
        dialogue=said.dialogue,
        text=said.text,
        asked_text=said.asked,
        question=question if said.shown is not None else None,
        options=options,
        stream=stream,
        include_usage=_include_usage(fields, stream),
        max_tokens=_max_tokens(fields),
        temperature=fields.number("temperature", 0, 2),
        top_p=fields.number("top_p", 0, 1),
        seed=fields.whole("seed", -(2**63), 2**63 - 1),
        stop=_stop(fields),
        n=fields.whole("n", 1, 128) or 1,
        routing=routing,
        num_frames=_num_frames(video_io),
        more={name: value for name, value in body.items() if name in ALLOWED - _READ and value is not None},
        dropped=tuple(sorted(name for name in body if name not in ALLOWED and name != EXTENSION)),
        place=said.place,
    )


def forwarded(request: ChatRequest, messages: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """The fields that may go to an upstream, as received; neither the extension nor a field that is not known is among them.

    `messages` stand in place of the received ones; then what is said of how to read the video is left out, for it is gone.
    """
    sent = {name: value for name, value in request.body.items() if name in ALLOWED}
    if sent.get("max_tokens") is not None and sent.get("max_completion_tokens") is not None:
        del sent["max_tokens"]
        sent["max_completion_tokens"] = request.max_tokens
    if messages is None:
        return sent
    return {name: value for name, value in sent.items() if name not in OF_THE_VIDEO} | {"messages": messages}


def _routing(fields: TypedFields) -> RoutingRequest:
    if (wishes := fields.fields(EXTENSION)) is None:
        return RoutingRequest()
    if unknown := [name for name in wishes.values if name not in _ROUTING]:
        param = wishes.param(ascii(unknown[0][:40]) if not unknown[0].isidentifier() else unknown[0][:40])
        raise RequestError(f"{param} is not known: {EXTENSION} takes {', '.join(_ROUTING)}", param=param)
    policy = wishes.text("policy")
    if policy is not None and policy not in POLICIES:
        raise wishes.wrong("policy", " or ".join(POLICIES))
    return RoutingRequest(
        system=wishes.text("system", LONGEST_NAME),
        budget=wishes.whole("budget", 1),
        policy=cast(Policy | None, policy),
        frames=wishes.whole("frames", 1),
        question=wishes.text("question"),
    )


def _num_frames(video_io: TypedFields | None) -> int | None:
    wanted = None if video_io is None else video_io.whole("num_frames", -1)
    return wanted if wanted is not None and wanted > 0 else None


def _include_usage(fields: TypedFields, stream: bool) -> bool:
    if (options := fields.fields("stream_options")) is None:
        return False
    if not stream:
        raise RequestError(
            "stream_options is given without stream: true: set that, or leave it out", param="stream_options"
        )
    return options.flag("include_usage") or False


def _max_tokens(fields: TypedFields) -> int | None:
    given = (fields.whole("max_completion_tokens", 1), fields.whole("max_tokens", 1))
    return min((most for most in given if most is not None), default=None)


def _stop(fields: TypedFields) -> tuple[str, ...]:
    value = fields.values.get("stop")
    stops = [] if value is None else [value] if isinstance(value, str) else value
    if (
        not isinstance(stops, list)
        or len(stops) > _MOST_STOPS
        or not all(isinstance(stop, str) and stop for stop in stops)
    ):
        raise fields.wrong("stop", f"a text that is not empty, or at most {_MOST_STOPS} of them")
    return tuple(stops)
