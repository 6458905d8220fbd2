"""Systems over items: each video is decoded and encoded once, every system answers all of its questions."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import Literal

import torch
from rich.progress import Progress
from torch import Tensor

from eval.items import Item
from eval.predictions import Prediction
from routers import VideoRouter
from routers.answers import letters, parse_choice
from routers.backbones import SharedPrefix, merged_any, merged_seconds
from routers.prompts import question_text
from routers.systems import CompressedVideo, Query, System
from video.decode import sample_video
from video.frames import SampledFrames

Scoring = Literal["likelihood", "generate"]


@dataclass(frozen=True)
class EncodedVideo:
    """One video's tokens `[T, M, D]`, its frame times, and what decoding and encoding took."""

    tokens: Tensor
    sampled: SampledFrames
    decode_seconds: float
    vision_seconds: float


class Runner:
    """Answers items with systems over one router's backbone.

    `scoring`: `likelihood` takes the option letter of highest logit (works with any base, also an untrained one);
    `generate` parses generated text.
    """

    def __init__(
        self, router: VideoRouter, scoring: Scoring, remembered_videos: int = 0, *, share_prefixes: bool = False
    ) -> None:
        """`remembered_videos` are kept encoded in host memory, for runs that come back to the same videos.

        With `share_prefixes` a question goes on from the last one's video where a system kept the same tokens for both: the
        same answers sooner, but seconds of prefill that say nothing about a question alone.
        """
        self.router = router
        self.scoring = scoring
        self.share_prefixes = share_prefixes
        self._encode = lru_cache(remembered_videos)(self._encode_video)

    def run(
        self, items: Sequence[Item], systems: Sequence[System], budgets: Mapping[str, Sequence[int]], progress: Progress
    ) -> Iterator[Prediction]:
        """Predictions of every system for every item; `budgets` holds one budget an item under each system's name.

        Asserts that no budgeted system exceeds its budget on any item.
        """
        task = progress.add_task(" ".join(system.name for system in systems), total=len(items))
        position = {item.id: index for index, item in enumerate(items)}
        for _, group in groupby(items, key=lambda item: item.video):
            questions = list(group)
            encoded = self.encode(questions[0])
            shared = {system.name: SharedPrefix() if self.share_prefixes else None for system in systems}
            for item in questions:
                for system in systems:
                    budget = budgets[system.name][position[item.id]]
                    yield self._predict(item, encoded, system, budget, shared[system.name])
                progress.advance(task)

    def encode(self, item: Item) -> EncodedVideo:
        """Decode and encode the item's video as the router was exported to: frames, sampler."""
        return self._encode(item.video)

    def _encode_video(self, video: Path) -> EncodedVideo:
        config, backbone = self.router.config, self.router.backbone
        started = time.perf_counter()
        sampled = sample_video(video, config.frames, sampler=config.sampler, size=backbone.frame_size)
        decoded = time.perf_counter()
        tokens = backbone.encode_frames(sampled.frames)
        self._finish()
        return EncodedVideo(tokens, sampled, decoded - started, time.perf_counter() - decoded)

    def query(self, item: Item, encoded: EncodedVideo) -> Query:
        """The item as the systems see it, with the truth about its sampled frames where it is known."""
        sampled, merged = encoded.sampled, self.router.backbone.frames_per_patch
        truth = item.truth.of_frames(sampled.seconds) if item.truth else None
        if truth is not None:
            truth = replace(truth, relevant=merged_any(truth.relevant, merged))
        seconds = merged_seconds(sampled.seconds, merged)
        return Query(item.question, item.options, truth, seconds, sampled.frames[::merged])

    @torch.no_grad()
    def _predict(
        self, item: Item, encoded: EncodedVideo, system: System, budget: int, shared: SharedPrefix | None
    ) -> Prediction:
        query = self.query(item, encoded)
        started = time.perf_counter()
        kept = system.compress(encoded.tokens, query, budget)
        self._finish()
        routed = time.perf_counter()
        if system.budgeted:
            assert kept.tokens <= budget, f"{system.name} fed {kept.tokens} tokens on {item.id}, its budget is {budget}"
        text, choice, prefill, generate = self._answer(kept, query, shared)
        return Prediction(
            item=item.id,
            video=item.video.name,
            group=item.group,
            system=system.name,
            budget=budget,
            tokens=kept.tokens,
            frames=[span.frame for span in kept.spans],
            policy=kept.policy,
            text=text,
            choice=choice,
            answer=item.answer,
            options=len(item.options),
            seconds_by_stage={
                "decode": encoded.decode_seconds,
                "vision": encoded.vision_seconds,
                "route": routed - started,
                "prefill" if shared is None else "shared prefill": prefill,
                "generate": generate,
            },
        )

    def _answer(
        self, kept: CompressedVideo, query: Query, shared: SharedPrefix | None
    ) -> tuple[str, str | None, float, float]:
        """Text, choice, and the seconds of prefill (prompt included) and generation."""
        assert query.options is not None
        backbone = self.router.backbone
        started = time.perf_counter()
        prompt = backbone.embed_prompt(kept, question_text(query), query.seconds)
        built = time.perf_counter()
        if self.scoring == "generate":
            generated = backbone.generate(prompt, max_new_tokens=32, shared=shared)
            choice = parse_choice(generated.text, query.options)
            return generated.text, choice, built - started + generated.prefill_seconds, generated.generate_seconds
        names = letters(query.options)
        logits = backbone.next_token_logits(prompt, shared=shared)
        best = names[int(logits[[backbone.token_id(name) for name in names]].argmax())]
        return best, best, time.perf_counter() - started, 0.0

    def _finish(self) -> None:
        if self.router.backbone.device.type == "cuda":
            torch.cuda.synchronize(self.router.backbone.device)
