"""A random InternVL of a given geometry with its untrained router, and requests about videos that nobody sent before."""

import base64
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import InternVLConfig, InternVLForConditionalGeneration

from videorouter.miniature.pretraining.model import SPECIAL_TOKENS, save_base, train_tokenizer
from videorouter.miniature.pretraining.processor_files import VIDEO
from videorouter.routers.answering.video_router import VideoRouter
from videorouter.routers.backbones.loading import load_backbone
from videorouter.routers.backbones.loading_options import FrameLabel, Loading, PromptOptions
from videorouter.routers.checkpoints.base_identity import BaseModel, weights_hash
from videorouter.routers.checkpoints.router_folder import RouterConfig, build_routers
from videorouter.routers.cost.estimate import estimate
from videorouter.routers.cost.workload import Workload
from videorouter.routers.routing.allocation import Scales
from videorouter.shards.policy import Policy

PATCH = 14
QUALITY = 85
FRAME_LABEL: FrameLabel = "Frame1"
"""Here 8.9 tokens a frame with <img> and </img>, as "Frame-1" is with InternVL3's tokenizer."""
QUESTION = (
    "In the scene with a brown background and a heart, which symbol do you find at the upper part of the left edge, and what is "
    "shown in the scene after it?"
)
QUESTION_TOKENS, TEXT_TOKENS = 38, 53
"""Of that, and of it in the chat template."""


@dataclass(frozen=True)
class Geometry:
    """A decoder with heads of 64, four of them for keys, and a tower that makes (side / 28)² tokens of a frame."""

    layers: int
    width: int
    mlp: int
    vision_layers: int
    vision_width: int
    side: int
    frames: int

    @property
    def per_frame(self) -> int:
        """Visual tokens of a frame."""
        return (self.side // (2 * PATCH)) ** 2

    @property
    def dense(self) -> int:
        """Visual tokens of a video."""
        return self.frames * self.per_frame

    @property
    def budget(self) -> int:
        """Three quarters of them, as 12,288 are of the published 16,384."""
        return self.dense * 3 // 4


def write_model(folder: Path, geometry: Geometry, scales: Sequence[Scales]) -> tuple[Path, list[Path]]:
    """The base, and one router folder for each of `scales`: the same random routers."""
    tokenizer = train_tokenizer()
    torch.manual_seed(0)
    model = InternVLForConditionalGeneration(_config(tokenizer, geometry))
    base = save_base(folder / "base", model, tokenizer, "")
    del model
    prompt = PromptOptions(frame_label=FRAME_LABEL)
    loading: Loading = {**prompt.loading(), "early_layers": 4}
    backbone = load_backbone(str(base), **loading)
    routers = []
    for number, one in enumerate(scales):
        config = RouterConfig(
            BaseModel(str(base), weights_hash(base)),
            frames=geometry.frames,
            budget=geometry.budget,
            scales=one,
            prompt=prompt,
            shape=backbone.shape,
        )
        router = VideoRouter(backbone, config, *build_routers(backbone, config))
        router.save_pretrained(folder / f"router-{number}")
        routers.append(folder / f"router-{number}")
    return base, routers


def floor_ratio(base: Path, geometry: Geometry, scales: Scales, fragment: float, relevant: float) -> float:
    """How many times the FLOPs of routed questions dense ones take until the first token, attention causal."""
    config = InternVLConfig.from_pretrained(base)
    work = Workload(
        geometry.frames,
        geometry.budget,
        scales,
        fragment,
        relevant,
        question_tokens=QUESTION_TOKENS,
        text_tokens=TEXT_TOKENS,
    )
    return 1 / estimate(config, work).of_dense("first_token", "causal")


class Requests:
    """Bodies of chat requests, written before anything is timed; no two show the same video."""

    def __init__(self, geometry: Geometry) -> None:
        self._geometry, self._drawn = geometry, np.random.default_rng(0)

    def new_video(self) -> list[dict[str, Any]]:
        """The content parts of one: its frames as small JPEGs, which leaves decoding out of what is compared."""
        side, cells = self._geometry.side, self._geometry.side // PATCH
        parts: list[dict[str, Any]] = []
        for second in range(self._geometry.frames):
            colours = self._drawn.integers(0, 256, (cells, cells, 3), dtype=np.uint8)
            written = io.BytesIO()
            Image.fromarray(colours).resize((side, side), Image.Resampling.NEAREST).save(
                written, "JPEG", quality=QUALITY
            )
            url = f"data:image/jpeg;base64,{base64.b64encode(written.getvalue()).decode('ascii')}"
            parts += [
                {"type": "text", "text": f"<{second}.0 seconds>"},
                {"type": "image_url", "image_url": {"url": url}},
            ]
        return parts

    def body(
        self,
        shown: list[dict[str, Any]],
        question: str,
        system: str,
        policy: Policy | None,
        *,
        frames: int | None = None,
    ) -> bytes:
        """A question about what is `shown`, answered by one token."""
        budget = self._geometry.dense if system == "dense" else self._geometry.budget
        asked = {"system": system, "budget": budget, "policy": policy, "frames": frames}
        content = [*shown, {"type": "text", "text": question}]
        return json.dumps(
            {
                "messages": [{"role": "user", "content": content}],
                "max_tokens": 1,
                "videorouter": {name: value for name, value in asked.items() if value is not None},
            }
        ).encode()


def write_video(path: Path, seconds: int, seed: int) -> Path:
    """An mp4 of 640 x 360 pixels, 25 frames a second, in which rectangles move."""
    import av

    drawn = np.random.default_rng(seed)
    colours, speeds = drawn.integers(0, 256, (6, 3)), drawn.integers(1, 9, (6, 2))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        stream.options = {"preset": "ultrafast"}
        for number in range(seconds * 25):
            frame = np.full((360, 640, 3), (number // 50 * 40) % 256, dtype=np.uint8)
            for colour, (down, right) in zip(colours, speeds, strict=True):
                top, left = (down * number) % 300, (right * number) % 560
                frame[top : top + 60, left : left + 80] = colour
            for packet in stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path


def _config(tokenizer: Any, geometry: Geometry) -> InternVLConfig:
    return InternVLConfig(
        vision_config={
            "hidden_size": geometry.vision_width,
            "num_hidden_layers": geometry.vision_layers,
            "num_attention_heads": geometry.vision_width // 64,
            "intermediate_size": 4 * geometry.vision_width,
            "image_size": [geometry.side, geometry.side],
            "patch_size": [PATCH, PATCH],
        },
        text_config={
            "model_type": "qwen2",
            "hidden_size": geometry.width,
            "intermediate_size": geometry.mlp,
            "num_hidden_layers": geometry.layers,
            "num_attention_heads": geometry.width // 64,
            "num_key_value_heads": min(4, geometry.width // 64),
            "vocab_size": tokenizer.convert_tokens_to_ids(VIDEO),
            "max_position_embeddings": 8192,
            "tie_word_embeddings": False,
            "bos_token_id": None,
            "eos_token_id": tokenizer.eos_token_id,
            "pad_token_id": tokenizer.pad_token_id,
        },
        image_token_id=SPECIAL_TOKENS.index("<IMG_CONTEXT>"),
        image_seq_length=geometry.per_frame,
        downsample_ratio=0.5,
        tie_word_embeddings=False,
    )
