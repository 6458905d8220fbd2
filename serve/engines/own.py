"""The engine `own`: the base that is loaded here decodes, several answers in one batch."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from videorouter.routers.answering.routed_question import RoutedQuestion, prompt_without_video
from videorouter.routers.answering.video_router import VideoRouter
from videorouter.routers.backbones.prompt import Prompt
from videorouter.routers.backbones.sampling import Sampling
from videorouter.serve.chat.conversation import NO_VIDEO
from videorouter.serve.chat.reply import last_choice, text_choice, usage_object, whole_choice
from videorouter.serve.chat.request import ChatRequest
from videorouter.serve.chat.typed_fields import TypedFields
from videorouter.serve.config import EngineName
from videorouter.serve.engines.engine import Piece, Whole
from videorouter.serve.engines.fields import refuse
from videorouter.serve.errors import RequestError
from videorouter.serve.worker import Decoded, ModelWorker, Wanted

USUAL_TOKENS = 256
"""Longest answer where a request names none."""
POSSIBLE = ("top_k",)
"""Fields beside those of a `ChatRequest` that are heeded here."""


class OwnEngine:
    """Greedy unless a request names a temperature."""

    name: EngineName = "own"
    keeps_frames = False

    def __init__(self, router: VideoRouter, worker: ModelWorker, most_tokens: int) -> None:
        self._router, self._worker, self._most_tokens = router, worker, most_tokens

    async def healthy(self) -> bool:
        """It needs nothing else."""
        return True

    def check(self, chat: ChatRequest) -> None:
        """Nothing but text is made here: no tools, no grammar, no likelihoods, one answer."""
        refuse(chat, "the own engine", POSSIBLE)
        sampling_of(chat)

    def prepare(self, routed: RoutedQuestion, chat: ChatRequest) -> Prompt:
        """The embedded prompt. Raises `ValueError` for one beyond all positions of the base."""
        return self._checked(routed.prompt(self._router.backbone, chat.dialogue))

    async def prepare_unrouted(self, chat: ChatRequest) -> Prompt:
        """The embedded prompt of a conversation without a video: anything else that is not one video cannot be shown here."""
        if chat.unrouted != NO_VIDEO:
            raise RequestError(f"{chat.unrouted}: the own engine answers about one video, or about none")
        self.check(chat)
        try:
            return await self._worker.run(self._text_prompt, chat)
        except ValueError as error:
            raise RequestError(" ".join(str(error).split()), param="messages") from error

    def sent(self, prepared: Prompt) -> None:
        """Nothing is."""

    async def stream(self, prepared: Prompt, chat: ChatRequest) -> AsyncGenerator[Piece]:
        """Text as it is decoded."""
        yield Piece()
        async with aclosing(self._worker.decode(self._wanted(prepared, chat))) as decoded:
            async for heard in decoded:
                if isinstance(heard, Decoded):
                    yield Piece([last_choice(heard.reason)], usage_object(len(prepared), heard.tokens), _seconds(heard))
                else:
                    yield Piece([text_choice(heard)])

    def _text_prompt(self, chat: ChatRequest) -> Prompt:
        return self._checked(prompt_without_video(self._router.backbone, chat.text, chat.dialogue))

    def _checked(self, prompt: Prompt) -> Prompt:
        self._router.backbone.check_positions(prompt)
        return prompt

    async def complete(self, prepared: Prompt, chat: ChatRequest) -> Whole:
        """The text as a whole, which pieces need not be where a tokenizer rewrites what was said."""
        async with aclosing(self._worker.decode(self._wanted(prepared, chat))) as decoded:
            last = [heard async for heard in decoded][-1]
        assert isinstance(last, Decoded)
        usage = usage_object(len(prepared), last.tokens)
        return Whole([whole_choice(last.text, last.reason)], usage, _seconds(last))

    def _wanted(self, prepared: Prompt, chat: ChatRequest) -> Wanted:
        most = min(chat.max_tokens or min(USUAL_TOKENS, self._most_tokens), self._most_tokens)
        return Wanted(prepared, most, sampling_of(chat), chat.stop)


def _seconds(decoded: Decoded) -> dict[str, float]:
    return {"prefill": decoded.prefill_seconds, "generate": decoded.generate_seconds}


def sampling_of(chat: ChatRequest) -> Sampling:
    """How tokens are drawn; a `top_p` of 0 leaves the likeliest, as OpenAI takes it. Raises `RequestError` for a wrong `top_k`."""
    top_k = TypedFields(chat.more).whole("top_k", -1) or 0
    temperature = 0.0 if chat.top_p == 0 else chat.temperature or 0.0
    return Sampling(temperature=temperature, top_p=chat.top_p or 1.0, top_k=top_k, seed=chat.seed)
