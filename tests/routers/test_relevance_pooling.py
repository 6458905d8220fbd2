"""Relevance pooling looks at frames with a real CLIP or SigLIP architecture, and spends its budget on the most alike ones."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from videorouter.routers.answering.video_router import VideoRouter
from videorouter.routers.routing.allocation import Scales
from videorouter.routers.systems.query import Query
from videorouter.routers.systems.relevance_pooling import ContrastiveEncoder, RelevancePooling, per_token_frame

WORDS = ["[PAD]", "[UNK]", "which", "symbol", "is", "red", "blue", "?"]
TEXT = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
PICTURE = TEXT | {"image_size": 16, "patch_size": 8}


def write_encoder(folder: Path, family: str) -> Path:
    """A tiny checkpoint with random weights, as transformers writes it."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import AutoConfig, AutoModel, PreTrainedTokenizerFast

    torch.manual_seed(3)
    text = TEXT | {"vocab_size": len(WORDS), "max_position_embeddings": 12, "eos_token_id": 1, "projection_size": 16}
    config = AutoConfig.for_model(family, text_config=text, vision_config=PICTURE, projection_dim=16)
    AutoModel.from_config(config).save_pretrained(folder)
    words = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=words, pad_token="[PAD]", unk_token="[UNK]").save_pretrained(folder)
    kind = {"clip": "CLIPImageProcessor", "siglip": "SiglipImageProcessor"}[family]
    preprocessing = {"image_processor_type": kind, "image_mean": [0.5] * 3, "image_std": [0.25] * 3}
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessing | {"size": {"height": 16, "width": 16}}))
    return folder


@pytest.fixture(scope="module", params=["clip", "siglip"])
def encoder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_encoder(tmp_path_factory.mktemp(request.param), request.param)


def pictures(count: int = 12) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 20, 24, 3), dtype=np.uint8)


def test_similarities_are_the_models_own(encoder: Path) -> None:
    from PIL import Image

    ours = ContrastiveEncoder(str(encoder), frames_at_once=5)
    frames, text = pictures(), "which symbol is red ?"
    squares = [np.asarray(Image.fromarray(frame).resize((16, 16), Image.Resampling.BICUBIC)) for frame in frames]
    pixels = (torch.tensor(np.stack(squares)).permute(0, 3, 1, 2) / 255 - 0.5) / 0.25
    model: Any = ours.model
    length = {"padding": "max_length", "max_length": 12} if model.config.model_type == "siglip" else {}
    ids = ours.tokenizer(text, return_tensors="pt", **length).input_ids
    with torch.no_grad():
        made = model(input_ids=ids, pixel_values=pixels)
    cosines = ours.embed_frames(frames) @ ours.embed_text(text)
    torch.testing.assert_close(cosines, (made.text_embeds @ made.image_embeds.T)[0], rtol=1e-4, atol=1e-5)


def test_a_videos_frames_are_embedded_once(encoder: Path) -> None:
    ours = ContrastiveEncoder(str(encoder))
    frames = pictures()
    assert ours.embed_frames(frames) is ours.embed_frames(frames)
    assert not torch.equal(ours.embed_frames(frames[::-1]), ours.embed_frames(frames))


def test_long_questions_are_cut_to_the_encoders_length(encoder: Path) -> None:
    ours = ContrastiveEncoder(str(encoder))
    assert torch.equal(ours.embed_text("red " * 12), ours.embed_text("red " * 40))


def test_the_most_alike_frames_are_sharp_and_the_rest_pooled(encoder: Path) -> None:
    ours = ContrastiveEncoder(str(encoder))
    frames, tokens = pictures(), torch.randn(12, 16, 8)
    system = RelevancePooling((4, 4), lambda: ours)
    kept = system.compress(tokens, Query("which symbol ?", frames=frames), 12 * 4 + 3 * 12)
    similarity = ours.embed_frames(frames) @ ours.embed_text("which symbol ?")
    sharp = {span.frame for span in kept.spans if span.tokens == 16}
    assert sharp == set(similarity.topk(3).indices.tolist())
    assert [span.tokens for span in kept.spans if span.frame not in sharp] == [4] * 9
    assert torch.equal(kept.embeddings[kept.frames == min(sharp)], tokens[min(sharp)])


@pytest.mark.parametrize("budget", range(16, 200, 16))
def test_whole_frames_of_budget_are_spent_to_the_last_token(budget: int, encoder: Path) -> None:
    system = RelevancePooling((4, 4), lambda: ContrastiveEncoder(str(encoder)), Scales(2, 1, 4))
    kept = system.compress(torch.randn(12, 16, 8), Query("which ?", frames=pictures()), budget)
    assert kept.tokens == budget if budget <= 192 else kept.tokens == 192


def test_where_the_model_merges_frames_the_higher_similarity_counts() -> None:
    assert per_token_frame(torch.tensor([0.1, 0.9, 0.3, 0.2, 0.5]), 3).tolist() == pytest.approx([0.9, 0.3, 0.5])
    with pytest.raises(ValueError, match="5 frames were given for the tokens of 4"):
        per_token_frame(torch.zeros(5), 4)


def test_what_is_missing_is_named(encoder: Path, router: Path, base: Path) -> None:
    loaded = VideoRouter.from_pretrained(router)
    with pytest.raises(ValueError, match="needs an `encoder`"):
        loaded.system("relevance_pooling")
    system = loaded.system("relevance_pooling", encoder=str(encoder))
    with pytest.raises(ValueError, match="looks at the frames themselves"):
        system.compress(torch.randn(3, 16, loaded.backbone.hidden_size), Query("which ?"), 40)
    with pytest.raises(ValueError, match="'internvl' checkpoint: give one of clip or siglip"):
        ContrastiveEncoder(str(base))


def test_a_video_is_answered_through_it(encoder: Path, router: Path, world: Path) -> None:
    video = sorted((world / "videos").iterdir())[0]
    answer = VideoRouter.from_pretrained(router).answer(
        video, "which symbol ?", system="relevance_pooling", budget=400, encoder=str(encoder), max_new_tokens=1
    )
    assert sorted(set(answer.tokens_by_frame)) == [4, 16]
    assert answer.tokens <= 400
