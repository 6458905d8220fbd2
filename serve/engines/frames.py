"""The engine `frames`: the chosen frames go as pictures, each with its second, to any server of OpenAI's interface (ours)."""

import sys
from collections.abc import AsyncGenerator, Sequence
from dataclasses import asdict
from typing import Any

from videorouter.routers.answering.frame_pictures import PlannedPicture, frame_pictures
from videorouter.routers.answering.routed_question import RoutedQuestion
from videorouter.routers.cost.picture_cost import PictureCost
from videorouter.serve.chat.conversation import Pictures
from videorouter.serve.chat.request import ChatRequest
from videorouter.serve.chat.upstream import with_pictures
from videorouter.serve.config import EngineName
from videorouter.serve.engines.engine import Piece, Whole
from videorouter.serve.engines.upstream import Upstream
from videorouter.serve.engines.upstream_chat import SentChat, UpstreamChat
from videorouter.serve.pictures import picture_url
from videorouter.video.frames import SampledFrames


class FramesEngine:
    """Text, tools, finish reason, usage and errors are the upstream's."""

    name: EngineName = "frames"
    keeps_frames = True

    def __init__(self, upstream: Upstream, cost: PictureCost) -> None:
        """`cost` is what the upstream charges for a picture."""
        self._cost, self._upstream, self._chat = cost, upstream, UpstreamChat(upstream)

    async def healthy(self) -> bool:
        """Whether the upstream answers."""
        return await self._upstream.healthy()

    def check(self, chat: ChatRequest) -> None:
        """Whatever the upstream can do."""

    def prepare(self, routed: RoutedQuestion, chat: ChatRequest) -> SentChat:
        """The request with the chosen frames in it, sized by what they cost there. Raises `ValueError` where none can be paid."""
        sampled = routed.watched.sampled
        shape = sampled.frames.shape[1], sampled.frames.shape[2]
        chosen = frame_pictures(routed.plan, self._cost, routed.budget, shape)
        shown = [
            (picture.second, picture_url(sampled.frames[picture.place], (picture.height, picture.width)))
            for picture in chosen
        ]
        frames = [picture.place for picture in chosen] if isinstance(chat.shown, Pictures) else None
        told = self._told(chosen, sampled, shape)
        return self._chat.with_messages(chat, with_pictures(chat, shown, frames, self._cost.detail), told)

    async def prepare_unrouted(self, chat: ChatRequest) -> SentChat:
        """The request as it came."""
        return self._chat.as_it_came(chat)

    def sent(self, prepared: SentChat) -> dict[str, Any] | None:
        """Which frames, how large, and what they cost there."""
        return prepared.pictures

    def stream(self, prepared: SentChat, chat: ChatRequest) -> AsyncGenerator[Piece]:
        """The upstream's chunks."""
        return self._chat.stream(prepared)

    async def complete(self, prepared: SentChat, chat: ChatRequest) -> Whole:
        """The upstream's answer."""
        return await self._chat.complete(prepared)

    def _told(self, chosen: Sequence[PlannedPicture], sampled: SampledFrames, shape: tuple[int, int]) -> dict[str, Any]:
        """`dense_tokens` are what all sampled frames would cost there, each as large as it is kept."""
        frames = [asdict(picture) | {"second": round(picture.second, 3)} for picture in chosen]
        full = self._cost.frame_size(sys.maxsize, *shape)
        assert full is not None, "any picture can be paid for"
        dense = len(sampled.frames) * self._cost.tokens(*full)
        tokens = sum(picture.tokens for picture in chosen)
        return {"pictures": len(chosen), "tokens": tokens, "dense_tokens": dense, "frames": frames}
