"""Frames most alike the question in full, the others pooled: an image-text encoder as router (baseline, paper table 1)."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from videorouter.routers.backbones.loading import check_place, loading_from
from videorouter.routers.backbones.tying import check_whole
from videorouter.routers.routing.allocation import Allocation, Scales, scaled_tokens
from videorouter.routers.systems.base import CompressedVideo, apply_allocation
from videorouter.routers.systems.query import Query
from videorouter.routers.systems.spec import Kind
from videorouter.routers.systems.videorouter import plan_of
from videorouter.video.frames import resize_frames

FAMILIES = ("clip", "siglip")


class FrameEncoder(Protocol):
    """Embeds frames and texts so that their dot product is their similarity."""

    def embed_frames(self, frames: np.ndarray) -> Tensor:
        """uint8 RGB `[T, H, W, 3]` -> unit vectors `[T, E]`."""
        ...

    def embed_text(self, text: str) -> Tensor:
        """A text -> a unit vector `[E]`."""
        ...


class ContrastiveEncoder:
    """A CLIP or SigLIP checkpoint, a folder or a Hub id, in float32 on a CPU and the checkpoint's own type elsewhere.

    Frames are squeezed to the encoder's square, nothing is cropped away (ours; CLIP's own processor crops the middle). Texts are
    cut at the encoder's length. Raises `ValueError` for another family.
    """

    def __init__(self, path: str, device: str | torch.device = "cpu", frames_at_once: int = 64) -> None:
        from transformers import AutoConfig, AutoImageProcessor, AutoModel, AutoTokenizer

        check_place(path)
        with loading_from(path):
            config: Any = AutoConfig.from_pretrained(path, trust_remote_code=False)
        if config.model_type not in FAMILIES:
            raise ValueError(
                f"{path} is a {config.model_type!r} checkpoint: give one of {' or '.join(FAMILIES)}, "
                "such as openai/clip-vit-base-patch32 or google/siglip-base-patch16-224"
            )
        self.device = torch.device(device)
        self.frames_at_once = frames_at_once
        dtype = torch.float32 if self.device.type == "cpu" else "auto"
        with loading_from(path):
            model, report = AutoModel.from_pretrained(path, dtype=dtype, output_loading_info=True)
            check_whole(path, report)
            self.model = model.requires_grad_(False).eval().to(self.device)
            self.tokenizer = AutoTokenizer.from_pretrained(path)
            pictures: Any = AutoImageProcessor.from_pretrained(path)
        self._mean, self._deviation = (torch.tensor(list(v)) for v in (pictures.image_mean, pictures.image_std))
        self._size: int = config.vision_config.image_size
        self._length: int = config.text_config.max_position_embeddings
        # SigLIP learned with every text padded to its full length, and reads the last place.
        self._padding = "max_length" if config.model_type == "siglip" else "do_not_pad"
        self._last: tuple[np.ndarray, Tensor] | None = None

    @torch.no_grad()
    def embed_frames(self, frames: np.ndarray) -> Tensor:
        """As `FrameEncoder`; the last array's result is remembered: the questions of one video come one after another."""
        if self._last is None or self._last[0] is not frames:
            parts = [frames[i : i + self.frames_at_once] for i in range(0, len(frames), self.frames_at_once)]
            pooled = [self.model.get_image_features(pixel_values=self._pixels(part)).pooler_output for part in parts]
            self._last = frames, functional.normalize(torch.cat(pooled).float(), dim=-1)
        return self._last[1]

    @torch.no_grad()
    def embed_text(self, text: str) -> Tensor:
        ids = self.tokenizer(
            text, padding=self._padding, truncation=True, max_length=self._length, return_tensors="pt"
        ).input_ids
        pooled = self.model.get_text_features(input_ids=ids.to(self.device)).pooler_output[0]
        return functional.normalize(pooled.float(), dim=-1)

    def _pixels(self, frames: np.ndarray) -> Tensor:
        resized = torch.from_numpy(resize_frames(frames, self._size)).float() / 255
        normal = ((resized - self._mean) / self._deviation).permute(0, 3, 1, 2)
        return normal.to(self.device, self.model.dtype)


@lru_cache(maxsize=1)
def load_frame_encoder(path: str, device: str = "cpu") -> ContrastiveEncoder:
    """`ContrastiveEncoder`, loaded once however many systems use it."""
    return ContrastiveEncoder(path, device)


@dataclass(frozen=True)
class RelevancePooling:
    """The top k frames by frame-question similarity at `relevant_scale`, the rest at `irrelevant_scale`.

    k is what the budget holds beside all other frames, or one more where that spends more of it (ours): then a little
    background is dropped. At least one frame is in full where it fits. `encoder` is called when it is first needed.
    """

    grid: tuple[int, int] | None
    encoder: Callable[[], FrameEncoder]
    scales: Scales = field(default_factory=Scales)
    name: str = "relevance_pooling"
    budgeted: bool = True
    kind: Kind = "compared"
    spends_cap: bool = False

    def compress(self, video_tokens: Tensor, query: Query, budget: int) -> CompressedVideo:
        """Raises `ValueError` for a query without frames, frames that are not those of the tokens, unworkable budgets."""
        frames, per_frame = video_tokens.shape[:2]
        if query.frames is None:
            raise ValueError("relevance_pooling looks at the frames themselves: give them as `Query(..., frames=...)`")
        encoder = self.encoder()
        cosines = encoder.embed_frames(query.frames) @ encoder.embed_text(query.question)
        similarity = per_token_frame(cosines, frames)
        plan = self._plan(similarity.argsort(descending=True, stable=True).tolist(), per_frame, budget)
        return apply_allocation(video_tokens, plan, query.grid_or(self.grid))

    def least_budget(self, tokens_per_frame: int) -> int:
        """One frame at `irrelevant_scale`. Raises `ValueError` for a scale that a frame does not have."""
        return scaled_tokens(tokens_per_frame, self.scales.irrelevant_scale)

    def _plan(self, ranking: list[int], per_frame: int, budget: int) -> Allocation:
        sharp = scaled_tokens(per_frame, self.scales.relevant_scale)
        coarse = scaled_tokens(per_frame, self.scales.irrelevant_scale)
        keeping_all = max(1, (budget - len(ranking) * coarse) // max(1, sharp - coarse))
        counts = sorted({min(k, len(ranking), budget // sharp) for k in (keeping_all, keeping_all + 1)})
        plans = [_top(ranking, count, per_frame, budget, self.scales) for count in counts]
        return max(plans, key=lambda plan: plan.tokens)


def _top(ranking: list[int], k: int, per_frame: int, budget: int, scales: Scales) -> Allocation:
    relevant = [False] * len(ranking)
    for frame in ranking[:k]:
        relevant[frame] = True
    return plan_of("fragment", relevant, per_frame, budget, scales)


def per_token_frame(similarity: Tensor, frames: int) -> Tensor:
    """Similarity `[N]` of N sampled frames -> `[frames]`: where the model merges neighbours, the higher of those merged.

    Raises `ValueError` where N frames cannot have become `frames`.
    """
    merged = -(-len(similarity) // frames)
    if -(-len(similarity) // merged) != frames:
        raise ValueError(f"{len(similarity)} frames were given for the tokens of {frames}: they are not of one video")
    missing = similarity.new_full((frames * merged - len(similarity),), -torch.inf)
    return torch.cat([similarity, missing]).view(frames, merged).amax(1)
