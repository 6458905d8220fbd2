"""A local base model as prober: frames pooled and dropped as the runtime does it, the answer generated."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from videorouter.data_builders.qtr.probe import Answer
from videorouter.data_builders.teacher.replies import VideoAnswer
from videorouter.data_builders.videos import PreparedVideo
from videorouter.routers.backbones.loading import load_backbone
from videorouter.routers.routing.allocation import Allocation
from videorouter.routers.systems.base import apply_allocation
from videorouter.routers.systems.query import Query, question_text
from videorouter.shards import jpeg
from videorouter.shards.schema import VideoQuestion

MAX_NEW_TOKENS = 32
"""As the runtime's."""

Result = TypeVar("Result")


class LocalProber:
    """The base model in the folder `path` answers, one request at a time in a thread of its own.

    A video's frames are encoded once for all questions; their tokens `[T, M, D]` stay on `device` while it is probed.
    """

    def __init__(self, path: str, device: str, tokens_per_frame: int) -> None:
        """Raises as `load_backbone`; `ValueError` for a base that merges frames, or makes not `tokens_per_frame` of one."""
        self.name = f"base {path}"
        self.backbone = load_backbone(path, device=device)
        if self.backbone.frames_per_patch > 1:
            raise ValueError(f"{path} merges frames: plans are made for single ones, give a base that does not")
        if self.backbone.tokens_per_frame != tokens_per_frame:
            raise ValueError(
                f"{path} makes {self.backbone.tokens_per_frame} tokens a frame, --tokens_per_frame says "
                f"{tokens_per_frame}: give the number of the base"
            )
        self._thread = ThreadPoolExecutor(1, "local prober")

    async def load(self, video: PreparedVideo) -> Answer:
        return partial(self._answer, await self._in_thread(lambda: self._encode(video)))

    async def _answer(self, tokens: Tensor, question: VideoQuestion, plan: Allocation) -> VideoAnswer:
        text = await self._in_thread(lambda: self._generate(tokens, question, plan))
        return VideoAnswer(answerable=True, answer=text, reason="")

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _encode(self, video: PreparedVideo) -> Tensor:
        record = video.record
        frames = [jpeg.decode(picture, record.height, record.width) for picture in video.jpegs]
        return self.backbone.encode_frames(np.stack(frames))

    @torch.no_grad()
    def _generate(self, tokens: Tensor, question: VideoQuestion, plan: Allocation) -> str:
        query = Query(question.question, tuple(question.options) if question.options else None)
        kept = apply_allocation(tokens, plan, query.grid_or(self.backbone.grid))
        prompt = self.backbone.embed_prompt(kept, question_text(query))
        return self.backbone.generate(prompt, MAX_NEW_TOKENS).text
