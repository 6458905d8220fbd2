"""Checkpoints as they are published: loaded whole and early, and exactly their own class where nothing is compressed.

The reference is the class of transformers over the token ids and pixels that the checkpoint's own processor made.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import AutoModelForImageTextToText

from tests.routers.processor_fixtures import (
    FPS,
    QUESTION,
    RESIZED,
    STEP,
    Recorded,
    odd_frames,
    read_recorded,
    shown_frames,
    shown_seconds,
)
from tests.routers.published_layouts import FAMILY_OF, LAYOUTS, TIED, write_layout
from tests.routers.test_relevance_pooling import write_encoder
from videorouter.miniature.pretraining.model import write_untrained_router
from videorouter.routers.answering.video_router import VideoRouter
from videorouter.routers.backbones.early_loading import load_early
from videorouter.routers.backbones.loading import load_backbone
from videorouter.routers.backbones.prompt import Prompt
from videorouter.routers.checkpoints.router_folder import BaseModel, RouterConfig
from videorouter.routers.systems.query import Truth
from videorouter.routers.systems.registry import SYSTEMS
from videorouter.video.frames import SampledFrames

EARLY = 2
FAST = {
    "InternVL3-8B-hf", "InternVL2_5-8B-MPO-hf", "llava-onevision-qwen2-7b-ov-hf", "Qwen2.5-VL-7B-Instruct",
    "Qwen3-VL-2B-Instruct",
}  # fmt: skip
"""One a family, and the one whose tokenizer begins texts with `<s>`; the rest is slow."""


@dataclass(frozen=True)
class Published:
    """One layout on disk, what its processor made, and its class of transformers, float32."""

    name: str
    folder: Path
    recorded: Recorded
    model: Any

    @property
    def options(self) -> dict[str, Any]:
        """transformers' processor labels InternVL's frames otherwise than its training did."""
        return {"frame_label": "Frame1"} if FAMILY_OF[self.name] == "internvl" else {}

    def base(self) -> VideoRouter:
        config = RouterConfig(BaseModel(str(self.folder), ""))
        return VideoRouter(load_backbone(str(self.folder), **self.options), config)

    def inputs(self) -> dict[str, Tensor]:
        """What the processor hands to the class."""
        ids, pixels = self.ids()[None], torch.from_numpy(self.recorded.pixels)
        given = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        if self.recorded.grid is None:
            return given | {"pixel_values" if FAMILY_OF[self.name] == "internvl" else "pixel_values_videos": pixels}
        placeholder = self.model.config.video_token_id
        given |= {"pixel_values_videos": pixels, "video_grid_thw": torch.from_numpy(self.recorded.grid)}
        given |= {"mm_token_type_ids": 2 * (ids == placeholder).int()}
        if (spacing := self.recorded.seconds_per_patch) is not None:
            given |= {"second_per_grid_ts": torch.tensor([spacing])}
        return given

    def ids(self) -> Tensor:
        """As recorded, except for the marks around a whole video of Qwen3-VL.

        The processor it was published with (transformers 4.57) puts patches with their seconds in place of the template's
        `<|vision_start|><|video_pad|><|vision_end|>`, as vLLM does; that of transformers 5 leaves the outer marks standing.
        """
        ids = torch.from_numpy(self.recorded.ids)
        if FAMILY_OF[self.name] != "qwen3_vl":
            return ids
        config = self.model.config
        first = int((ids == config.vision_start_token_id).nonzero()[0])
        last = int((ids == config.vision_end_token_id).nonzero()[-1])
        assert (ids == config.vision_start_token_id).sum() == 1 + int(self.recorded.grid[0, 0])  # type: ignore[index]
        return torch.cat([ids[:first], ids[first + 1 : last], ids[last + 1 :]])


def published(names: Iterator[str] | set[str] | tuple[str, ...]) -> Any:
    marked = [pytest.param(name, marks=() if name in FAST else pytest.mark.slow) for name in LAYOUTS if name in names]
    return pytest.mark.parametrize("layout", marked, indirect=True)


every_layout = published(set(LAYOUTS))


@pytest.fixture(scope="module")
def layout(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Published:
    name = str(request.param)
    folder = write_layout(name, tmp_path_factory.mktemp("published") / name)
    auto: Any = AutoModelForImageTextToText
    model, report = auto.from_pretrained(folder, dtype=torch.float32, output_loading_info=True)
    # The generator's own promise: published names, all that the class needs and nothing else.
    assert not any(report[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs"))
    return Published(name, folder, read_recorded(name), model.eval())


def sampled(frames: np.ndarray) -> SampledFrames:
    indices = [STEP * number for number in range(len(frames))]
    total = STEP * len(frames)
    return SampledFrames(frames, indices, shown_seconds(len(frames)), FPS, total, total / FPS, "none", "none")


def dense_prompt(router: VideoRouter, frames: np.ndarray) -> Prompt:
    """All tokens of `frames` and the question, as `answer` would feed them."""
    watched = router.watch(sampled(frames))
    tokens: Any = watched.tokens
    kept = router.system("dense").compress(tokens, watched.query(QUESTION), budget=100_000)
    return router.backbone.embed_prompt(kept, QUESTION, watched.seconds)


@every_layout
@torch.no_grad()
def test_the_prompt_is_that_of_the_processor(layout: Published) -> None:
    prompt = dense_prompt(layout.base(), shown_frames(layout.name))
    ids = layout.ids()
    assert len(prompt) == len(ids)
    text = torch.ones(len(ids), dtype=torch.bool)
    text[prompt.visual] = False
    expected = layout.model.get_input_embeddings()(ids[text])
    if FAMILY_OF[layout.name] == "llava_onevision":  # one newline token of the video's is text to us, and no id
        expected[ids[text] == layout.model.config.video_token_id] = layout.model.model.image_newline
    assert torch.equal(prompt.embeddings[0, text], expected)


@every_layout
@torch.no_grad()
def test_dense_logits_are_those_of_the_class(layout: Published) -> None:
    own = layout.model(**layout.inputs()).logits[0, -1]
    router = layout.base()
    ours = router.backbone.next_token_logits(dense_prompt(router, shown_frames(layout.name)))
    torch.testing.assert_close(ours, own, atol=1e-4, rtol=1e-4)


@every_layout
def test_greedy_text_is_that_of_generate(layout: Published) -> None:
    given = layout.inputs()
    made = layout.model.generate(**given, max_new_tokens=12, do_sample=False, repetition_penalty=1.0)
    router = layout.base()
    prompt = dense_prompt(router, shown_frames(layout.name))
    backbone: Any = router.backbone
    own = backbone.tokenizer.decode(made[0, given["input_ids"].shape[1] :], skip_special_tokens=True)
    assert backbone.generate(prompt, 12).text == own.strip()


@published(RESIZED)
@torch.no_grad()
def test_frames_of_another_size_are_resized_as_the_processor_does(layout: Published) -> None:
    """Within one level of 255; Pillow and torchvision clip an overshoot between their two passes in another order."""
    seen: list[Tensor] = []
    backbone: Any = layout.base().backbone
    model = backbone.model.model
    tower = model.visual if hasattr(model, "visual") else model.vision_tower

    def look(module: Any, given: tuple[Any, ...], named: dict[str, Any]) -> None:
        seen.append((*given, *named.values())[0])

    tower.register_forward_pre_hook(look, with_kwargs=True)
    tokens = backbone.encode_frames(odd_frames())
    assert layout.recorded.resized is not None
    levels = 255 * max(backbone.normalisation.deviation)
    apart = levels * abs(torch.cat(seen).numpy() - layout.recorded.resized.reshape(seen[0].shape))
    assert (apart > 1.1).mean() < 0.002
    assert apart.mean() < 0.05
    if layout.recorded.resized_grid is not None:
        assert tokens.shape[1] == layout.recorded.resized_grid[0, 1:].prod() // 4


@every_layout
@torch.no_grad()
def test_the_early_part_reads_its_own_bytes_and_equals_the_whole(layout: Published) -> None:
    loaded = load_early(str(layout.folder), EARLY)
    assert loaded.tensor_bytes < loaded.bytes_read <= 1.05 * loaded.tensor_bytes
    whole, early = (load_backbone(str(layout.folder), early_layers=layers) for layers in (None, EARLY))
    frames = shown_frames(layout.name)
    tokens = [backbone.encode_frames(frames) for backbone in (whole, early)]
    assert torch.equal(*tokens)
    states = [b.shadow_stack(EARLY).frames(tokens[0][..., : b.hidden_size])[0] for b in (whole, early)]
    assert torch.equal(*states)
    assert torch.equal(whole.embed_text(QUESTION), early.embed_text(QUESTION))


@every_layout
def test_a_head_is_tied_where_none_is_stored_and_nowhere_else(layout: Published) -> None:
    model: Any = layout.base().backbone.model  # type: ignore[attr-defined]
    head, embedding = model.lm_head.weight, model.get_input_embeddings().weight
    assert (head.data_ptr() == embedding.data_ptr()) == (layout.name in TIED)


@every_layout
def test_every_system_runs_and_an_export_answers_as_before(layout: Published, tmp_path: Path) -> None:
    router = VideoRouter.from_pretrained(write_untrained_router(tmp_path / "router", layout.folder))
    frames = shown_frames(layout.name)
    watched = router.watch(sampled(frames))
    tokens: Any = watched.tokens
    everything = tokens.shape[0] * tokens.shape[1]
    encoder = str(write_encoder(tmp_path / "encoder", "clip"))
    said = {}
    for system in SYSTEMS:
        if system == "oracle":  # has to be told the truth
            query = watched.query(QUESTION, truth=Truth("fragment", (True,) * len(tokens)))
            kept = router.system(system).compress(tokens, query, everything)
            assert 0 < kept.tokens <= everything
            continue
        answer = router.answer(watched, QUESTION, budget=everything, system=system, encoder=encoder, max_new_tokens=2)
        assert 0 < answer.tokens == sum(answer.tokens_by_frame) <= everything
        said[system] = (answer.text, answer.tokens_by_frame, answer.relevance)
    router.save_pretrained(tmp_path / "again")
    again = VideoRouter.from_pretrained(tmp_path / "again")
    for system, before in said.items():
        after = again.answer(watched, QUESTION, budget=everything, system=system, encoder=encoder, max_new_tokens=2)
        assert (after.text, after.tokens_by_frame, after.relevance) == before
