"""`VideoRouter`: load an exported router, ask about a video, see what was kept and how long each stage took."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import torch
from torch import Tensor

from routers.allocation import Policy
from routers.answers import parse_choice
from routers.backbones import Backbone, load_backbone, merged_seconds
from routers.checkpoint import (
    RouterConfig,
    build_routers,
    check_base,
    load_weights,
    read_config,
    trained_tensors,
    write_folder,
)
from routers.model_card import model_card
from routers.prompts import question_text
from routers.scoring import POLICIES, ImageRouter, SemanticRouter
from routers.systems import CompressedVideo, Query, RoutedCompression, Scales, System, SystemOptions, build_system
from video.decode import sample_video
from video.frames import SampledFrames


@dataclass(frozen=True)
class Answer:
    """One answer with everything that explains it.

    `choice` is the option's letter (None without options, or when the text chooses none). `relevance` holds one score
    in 0..1 per sampled frame where the Image Router ran. `tokens_by_frame` counts fed tokens per sampled frame. Where the
    model merges frames (Qwen-VL), a "frame" is a merged pair, and its second their middle.
    `seconds_by_stage`: decode, vision, route, prefill (to the first token), generate, total.
    """

    text: str
    choice: str | None
    policy: Policy | None
    policy_probability: float | None
    relevance: list[float] | None
    tokens: int
    tokens_by_frame: list[int]
    frame_seconds: list[float]
    seconds_by_stage: dict[str, float]
    system: str


class VideoRouter:
    """Two routers in front of a video language model (paper section 3)."""

    def __init__(self, backbone: Backbone, config: RouterConfig, semantic: SemanticRouter, image: ImageRouter) -> None:
        self.backbone = backbone
        self.config = config
        self.semantic = semantic.eval()
        self.image = image.eval()

    @classmethod
    def from_pretrained(cls, path: str | Path, *, base: str | None = None, device: str = "cpu") -> Self:
        """Load a router folder and its base model (`base` overrides where that lies).

        Raises `CheckpointError` for a folder that is not an export, or a base with another hash.
        """
        folder = Path(path)
        config = read_config(folder)
        if base is not None:
            config = replace(config, base=replace(config.base, path=base))
        check_base(config, config.base.path)
        backbone = load_backbone(config.base.path, device=device)
        semantic, image = build_routers(backbone, config)
        load_weights(folder, semantic, image)
        return cls(backbone, config, semantic, image)

    def save_pretrained(self, path: str | Path) -> None:
        """Write the router folder: trained tensors only, the base model named by hash and never copied."""
        write_folder(Path(path), self.config, trained_tensors(self.semantic, self.image), model_card(self.config))

    def rescaled(self, scales: Scales) -> Self:
        """The same routers with other compression scales."""
        return type(self)(self.backbone, replace(self.config, scales=scales), self.semantic, self.image)

    def system(
        self,
        name: str = "videorouter",
        *,
        policy: Policy | None = None,
        scale: int | None = None,
        seed: int = 0,
        encoder: str | None = None,
        fill: bool = False,
    ) -> System:
        """A compression system over this backbone; `policy` forces one on `videorouter`, the rest are `SystemOptions`.

        Raises `ValueError` naming the systems there are, or the option that one lacks.
        """
        routed = RoutedCompression(
            self.backbone, self.semantic, self.image, self.config.scales, self.config.threshold, policy
        )
        return build_system(name, routed, SystemOptions(scale, seed, encoder, fill))

    @torch.no_grad()
    def policy_probabilities(self, question: str) -> dict[str, float]:
        """The Semantic Router's probability of each policy for a question without its options."""
        probabilities = self.semantic([self.backbone.embed_text(question)])[0]
        return dict(zip(POLICIES, probabilities.tolist(), strict=True))

    @torch.no_grad()
    def frame_relevance(self, video_tokens: Tensor, questions: Sequence[str]) -> Tensor:
        """`[T, M, D]` tokens and Q questions -> `[Q, T]` probability that each frame is evidence."""
        return self.image(
            video_tokens[..., : self.backbone.hidden_size], [self.backbone.embed_text(text) for text in questions]
        )

    def answer(
        self,
        video: str | Path | SampledFrames,
        question: str,
        options: Sequence[str] | None = None,
        budget: int | None = None,
        policy: Policy | None = None,
        system: str = "videorouter",
        max_new_tokens: int = 32,
        encoder: str | None = None,
    ) -> Answer:
        """Answer a question about a video file (or frames already sampled) with at most `budget` visual tokens.

        `budget` defaults to the export's; `encoder` is what `relevance_pooling` looks with.
        Raises `VideoError` for an unreadable file, `ValueError` for an unworkable budget, system or policy.
        """
        started = time.perf_counter()
        sampled = video if isinstance(video, SampledFrames) else self._sample(video)
        merged = self.backbone.frames_per_patch
        seconds = merged_seconds(sampled.seconds, merged)
        query = Query(question, tuple(options) if options else None, seconds=seconds, frames=sampled.frames[::merged])
        decoded = time.perf_counter()
        tokens = self.backbone.encode_frames(sampled.frames)
        encoded = self._now()
        kept = self.system(system, policy=policy, encoder=encoder).compress(tokens, query, budget or self.config.budget)
        routed = self._now()
        prompt = self.backbone.embed_prompt(kept, question_text(query), seconds)
        generated = self.backbone.generate(prompt, max_new_tokens)
        ended = time.perf_counter()
        return Answer(
            text=generated.text,
            choice=parse_choice(generated.text, query.options) if query.options else None,
            policy=kept.policy,
            policy_probability=self.policy_probabilities(question)[kept.policy] if kept.policy else None,
            relevance=None if kept.relevance is None else [round(p, 4) for p in kept.relevance.tolist()],
            tokens=kept.tokens,
            tokens_by_frame=_tokens_by_frame(kept, len(tokens)),
            frame_seconds=[round(second, 3) for second in seconds],
            seconds_by_stage={
                "decode": decoded - started,
                "vision": encoded - decoded,
                "route": routed - encoded,
                "prefill": generated.prefill_seconds,
                "generate": generated.generate_seconds,
                "total": ended - started,
            },
            system=system,
        )

    def _sample(self, path: str | Path) -> SampledFrames:
        return sample_video(path, self.config.frames, sampler=self.config.sampler, size=self.backbone.frame_size)

    def _now(self) -> float:
        if self.backbone.device.type == "cuda":
            torch.cuda.synchronize(self.backbone.device)
        return time.perf_counter()


def _tokens_by_frame(kept: CompressedVideo, frames: int) -> list[int]:
    counts = [0] * frames
    for span in kept.spans:
        counts[span.frame] = span.tokens
    return counts
