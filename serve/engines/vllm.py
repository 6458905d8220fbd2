"""The engine `vllm`: the compressed prompt goes as `prompt_embeds` to a vLLM that serves the same base (SERVING.md's way; ours)."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Final

import torch
from torch import Tensor

from videorouter.routers.answering.routed_question import RoutedQuestion
from videorouter.routers.answering.video_router import VideoRouter
from videorouter.routers.answering.vllm_engine import GREEDY, packed, sendable
from videorouter.serve.chat.request import ChatRequest
from videorouter.serve.config import EngineName
from videorouter.serve.engines.completion_choices import chat_choice
from videorouter.serve.engines.engine import Piece, Whole, collected
from videorouter.serve.engines.fields import refuse
from videorouter.serve.engines.own import USUAL_TOKENS
from videorouter.serve.engines.pieces import pieces_of
from videorouter.serve.engines.upstream import Upstream
from videorouter.serve.engines.upstream_chat import SentChat, UpstreamChat
from videorouter.serve.errors import RequestError
from videorouter.serve.metrics import Metrics

SAME_NAME: Final = (
    *("allowed_token_ids", "bad_words", "frequency_penalty", "ignore_eos", "include_stop_str_in_output", "logit_bias"),
    *("min_p", "min_tokens", "presence_penalty", "repetition_detection", "response_format", "skip_special_tokens"),
    *("spaces_between_special_tokens", "stop_token_ids", "structured_outputs", "thinking_token_budget", "top_k"),
)
"""Fields of a chat request that /v1/completions of vLLM knows by the same name, and that need no ids of the prompt."""
LOGPROBS: Final = ("logprobs", "top_logprobs")
_OF_A_CHAT: Final = "the engine reads no chat here, but a prompt that is made already"
WHY_NOT: Final = {
    "repetition_penalty": "the engine counts the tokens of the prompt, which has none; frequency_penalty is possible",
    "return_token_ids": "the prompt has none",
    **dict.fromkeys(("tools", "tool_choice", "functions", "function_call"), _OF_A_CHAT),
    **dict.fromkeys(("chat_template_kwargs", "add_generation_prompt", "continue_final_message"), _OF_A_CHAT),
    **dict.fromkeys(("guided_json", "guided_regex", "guided_choice", "guided_grammar"), "say structured_outputs"),
}


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
        """A prompt of embeddings has no ids: nothing can be counted in it (repetitions), no chat follows from it (tools)."""
        refuse(chat, "a prompt of embeddings", ("n", *LOGPROBS, *SAME_NAME), WHY_NOT)
        if chat.more.get("top_logprobs") and not chat.more.get("logprobs"):
            raise RequestError("top_logprobs is given without logprobs: true: set that too", param="top_logprobs")

    def prepare(self, routed: RoutedQuestion, chat: ChatRequest) -> Tensor:
        """The embedded prompt `[L, D]`."""
        return sendable(routed.prompt(self._router.backbone, chat.dialogue))

    async def prepare_unrouted(self, chat: ChatRequest) -> SentChat:
        """The request as it came: the upstream has the whole model."""
        return self._chat.as_it_came(chat)

    def sent(self, prepared: Tensor | SentChat) -> None:
        """Embeddings alone, of the tokens that were kept."""

    def stream(self, prepared: Tensor | SentChat, chat: ChatRequest) -> AsyncGenerator[Piece]:
        """Text as the engine gives it."""
        if isinstance(prepared, SentChat):
            return self._chat.stream(prepared)
        return pieces_of(self._chunks(prepared, chat))

    async def complete(self, prepared: Tensor | SentChat, chat: ChatRequest) -> Whole:
        """The text as a whole; it is streamed from the engine, so that the first token's seconds are known."""
        if isinstance(prepared, SentChat):
            return await self._chat.complete(prepared)
        return await collected(self.stream(prepared, chat))

    async def _chunks(self, embeddings: Tensor, chat: ChatRequest) -> AsyncGenerator[dict[str, Any]]:
        """The engine's, with choices in the form of a chat."""
        body = await asyncio.to_thread(self._body, embeddings, chat)
        most = chat.more.get("top_logprobs") or 0
        async with aclosing(self._upstream.events("completions", body)) as events:
            del body
            async for chunk in events:
                yield chunk | {"choices": [chat_choice(choice, most) for choice in chunk.get("choices") or []]}

    def _body(self, embeddings: Tensor, chat: ChatRequest) -> bytes:
        """The request, written without a JSON encoder's look at tens of megabytes; neither on the model's thread nor the loop's."""
        fields: dict[str, Any] = {
            "model": self._upstream.model,
            "prompt": None,  # an empty one would be asked as well
            "max_tokens": min(chat.max_tokens or min(USUAL_TOKENS, self._most_tokens), self._most_tokens),
            "temperature": chat.temperature or 0.0,
            "n": chat.n,
            "stream": True,
            "stream_options": {"include_usage": True},
            **GREEDY,
        }
        asked: dict[str, Any] = {"top_p": chat.top_p, "seed": chat.seed, "stop": list(chat.stop) or None}
        if chat.more.get("logprobs"):
            asked["logprobs"] = chat.more.get("top_logprobs") or 0
        asked |= {name: chat.more.get(name) for name in SAME_NAME}
        fields |= {name: value for name, value in asked.items() if value is not None}
        started = time.perf_counter()
        written = packed(embeddings, self._dtype)
        self._metrics.transfer_seconds.inc(time.perf_counter() - started)
        self._metrics.transfer_bytes.inc(len(written))
        return b"".join((json.dumps(fields).encode()[:-1], b', "prompt_embeds": "', written, b'"}'))
