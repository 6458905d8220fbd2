"""The engine `vllm`: the compressed prompt goes as `prompt_embeds` to a vLLM that serves the same base (SERVING.md's way; ours)."""

import time
from collections.abc import AsyncGenerator
from typing import Any, Final

import torch

from videorouter.routers.answering.routed_question import RoutedQuestion
from videorouter.routers.answering.video_router import VideoRouter
from videorouter.routers.answering.vllm_engine import GREEDY, encoded_prompt
from videorouter.serve.chat.reply import FinishReason, last_choice, text_choice
from videorouter.serve.chat.request import ChatRequest
from videorouter.serve.config import EngineName
from videorouter.serve.engines.engine import Piece, Whole, collected
from videorouter.serve.engines.fields import refuse
from videorouter.serve.engines.own import USUAL_TOKENS
from videorouter.serve.engines.upstream import Upstream
from videorouter.serve.engines.upstream_chat import SentChat, UpstreamChat
from videorouter.serve.metrics import Metrics

MAPPED: Final = ("response_format", "top_k", "min_p", "min_tokens", "ignore_eos", "skip_special_tokens", "priority")
"""Fields of a chat request that /v1/completions of vLLM knows by the same name."""


class VllmEngine:
    """Text, finish reason, usage and errors are the engine's."""

    name: EngineName = "vllm"
    keeps_frames = False

    def __init__(
        self, router: VideoRouter, upstream: Upstream, dtype: torch.dtype | None, most_tokens: int, metrics: Metrics
    ) -> None:
        """Raises `ValueError` for a family whose positions do not travel with embeddings (M-RoPE)."""
        if router.backbone.position_policy != "contiguous":
            raise ValueError(
                f"{router.backbone.path} keeps positions of the uncompressed video (M-RoPE), which prompt_embeds cannot carry: "
                "take --engine frames"
            )
        self._router, self._upstream, self._dtype = router, upstream, dtype
        self._chat = UpstreamChat(upstream)
        self._most_tokens, self._metrics = most_tokens, metrics

    async def healthy(self) -> bool:
        """Whether the upstream answers."""
        return await self._upstream.healthy()

    def check(self, chat: ChatRequest) -> None:
        """A prompt of embeddings has no ids: nothing can be counted in it (penalties), no chat follows from it (tools)."""
        refuse(chat, "a prompt of embeddings", ("n", "penalties", "logprobs", "tools", "logit_bias"))

    def prepare(self, routed: RoutedQuestion, chat: ChatRequest) -> str:
        """The embedded prompt, written down."""
        prompt = routed.prompt(self._router.backbone, chat.dialogue)
        started = time.perf_counter()
        written = encoded_prompt(prompt, self._dtype)
        self._metrics.transfer_seconds.inc(time.perf_counter() - started)
        self._metrics.transfer_bytes.inc(len(written))
        return written

    async def prepare_unrouted(self, chat: ChatRequest) -> SentChat:
        """The request as it came: the upstream has the whole model."""
        return self._chat.as_it_came(chat)

    async def stream(self, prepared: str | SentChat, chat: ChatRequest) -> AsyncGenerator[Piece]:
        """Text as the engine gives it."""
        if isinstance(prepared, SentChat):
            async for piece in self._chat.stream(prepared):
                yield piece
            return
        started = time.perf_counter()
        first, usage = None, None
        reason: FinishReason = "stop"
        async for chunk in self._upstream.events("completions", self._body(prepared, chat)):
            for choice in chunk.get("choices") or []:
                first = first or time.perf_counter()
                reason = choice.get("finish_reason") or reason
                if choice.get("text"):
                    yield Piece([text_choice(choice["text"])])
            usage = chunk.get("usage") or usage
        ended = time.perf_counter()
        seconds = {"prefill": (first or ended) - started, "generate": ended - (first or ended)}
        yield Piece([last_choice(reason)], usage, seconds)

    async def complete(self, prepared: str | SentChat, chat: ChatRequest) -> Whole:
        """The text as a whole; it is streamed from the engine, so that the first token's seconds are known."""
        if isinstance(prepared, SentChat):
            return await self._chat.complete(prepared)
        return await collected(self.stream(prepared, chat))

    def _body(self, prepared: str, chat: ChatRequest) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self._upstream.model,
            "prompt": None,  # an empty one would be asked as well
            "prompt_embeds": prepared,
            "max_tokens": min(chat.max_tokens or min(USUAL_TOKENS, self._most_tokens), self._most_tokens),
            "temperature": chat.temperature or 0.0,
            "stream": True,
            "stream_options": {"include_usage": True},
            **GREEDY,
        }
        asked = {"top_p": chat.top_p, "seed": chat.seed, "stop": list(chat.stop) or None}
        body |= {name: value for name, value in asked.items() if value is not None}
        return body | {name: chat.more[name] for name in MAPPED if chat.more.get(name) is not None}
