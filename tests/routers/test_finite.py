"""NaN is never an answer, an entropy of 0, or option A: what leaves a model names stage, precision and remedy."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.routers.tiny_backbones import all_kept, video, write_tiny
from videorouter.routers.backbones.finite import NotFiniteError
from videorouter.routers.backbones.loading import load_backbone
from videorouter.routers.backbones.sources import LazyTokens
from videorouter.routers.checkpoints.base_identity import BaseModel
from videorouter.routers.checkpoints.router_folder import RouterConfig, build_routers
from videorouter.routers.systems.adapttoken import AdaptToken, AdaptTokenLite, AttentionTopk
from videorouter.routers.systems.query import Query
from videorouter.routers.systems.random_drop import RandomDrop
from videorouter.routers.systems.references import Dense
from videorouter.routers.systems.uniform_pooling import FrameBudget, UniformPooling
from videorouter.routers.systems.vidcom2 import FrameCompressionAdjustment, VidCom2
from videorouter.routers.systems.videorouter import RoutedCompression

GRID = (4, 4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("finite") / "model", "internvl")


@pytest.fixture
def backbone(folder: Path) -> Any:
    return load_backbone(str(folder), device="cpu")


def overflowing(folder: Path, weight: str) -> Any:
    """The model in float16, one weight of which is larger than its numbers hold."""
    backbone: Any = load_backbone(str(folder), device="cpu", dtype="float16")
    backbone.model.get_parameter(weight).data.mul_(60_000)
    return backbone


def test_float16_that_overflows_in_a_layer_is_no_answer(folder: Path) -> None:
    backbone = overflowing(folder, "model.language_model.layers.2.mlp.up_proj.weight")
    prompt = backbone.embed_prompt(all_kept(backbone.encode_frames(video(2))), "What is shown?")
    told = r"model: a logit of the answer in float16 is not a number \(NaN or infinite\): load the model in float32"
    for use in (
        lambda: backbone.next_token_logits(prompt),
        lambda: backbone.generate(prompt, 4),
        lambda: backbone.generate_together([prompt, prompt], 4),
        lambda: backbone.inspect(prompt, 1, 4),
    ):
        with pytest.raises(NotFiniteError, match=told):
            use()
    with pytest.raises(NotFiniteError, match=r"attention of layer 3 in float16|a logit of the answer"):
        backbone.inspect(prompt, 3, 1)


def test_features_name_the_frame(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backbone = overflowing(folder, "model.multi_modal_projector.linear_1.weight")
    with pytest.raises(NotFiniteError, match="visual tokens of frame 0 in float16"):
        backbone.encode_frames(video(2))
    whole: Any = load_backbone(str(folder), device="cpu")
    encode = whole._encode

    def third_white(frames: np.ndarray, side: int) -> torch.Tensor:
        tokens = encode(frames, side)
        tokens[[bool((frame == 255).all()) for frame in frames]] = torch.nan
        return tokens

    monkeypatch.setattr(whole, "_encode", third_white)
    frames = video(40)
    frames[37] = 255
    with pytest.raises(NotFiniteError, match="frame 37 in float32"):  # of the second chunk
        whole.encode_frames(frames)
    with pytest.raises(NotFiniteError, match="frame 37 in float32"):  # by the video's numbers, not the chunk's
        LazyTokens(whole, frames)[[3, 36, 37]]


@pytest.mark.parametrize(
    "made",
    [
        lambda backbone: VidCom2(),
        lambda backbone: FrameCompressionAdjustment(UniformPooling(GRID)),
        lambda backbone: FrameCompressionAdjustment(RandomDrop()),
        lambda backbone: UniformPooling(GRID),
        lambda backbone: FrameBudget(GRID),
        lambda backbone: Dense(GRID),
        lambda backbone: AdaptToken(backbone),
        lambda backbone: AdaptTokenLite(backbone),
        lambda backbone: AttentionTopk(backbone),
    ],
)
@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_systems_that_are_given_such_tokens_name_the_frame(backbone: Any, made: Any, bad: float) -> None:
    tokens = torch.randn(5, 16, 64)
    tokens[4, 3, 7] = bad
    with pytest.raises(NotFiniteError, match="frame 4"):
        made(backbone).compress(tokens, Query("What is shown?"), 80)


def test_router_scores_that_are_none_decide_nothing(folder: Path) -> None:
    backbone = overflowing(folder, "model.language_model.layers.0.mlp.up_proj.weight")
    semantic, image = build_routers(backbone, RouterConfig(BaseModel("base", ""), shadow_layers=2))
    tokens = torch.randn(3, 16, 64).half()
    with pytest.raises(NotFiniteError, match="the Semantic Router's score"):
        RoutedCompression(backbone, semantic, image).compress(tokens, Query("What?"), 48)
    with pytest.raises(NotFiniteError, match="the Image Router's score"):
        RoutedCompression(backbone, semantic, image, policy="fragment").compress(tokens, Query("What?"), 48)
