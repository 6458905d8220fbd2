"""Routers and systems answer over a base of every family."""

from pathlib import Path

import pytest
import torch

from tests.routers.tiny_backbones import video, write_tiny
from videorouter.miniature.pretraining.model import write_untrained_router
from videorouter.routers.answering.video_router import VideoRouter
from videorouter.routers.backbones.loading import load_backbone
from videorouter.video.frames import SampledFrames

GRIDS = {"qwen2_5_vl": (16, 16), "qwen3_vl": (14, 14), "llava_onevision": (3, 3)}


@pytest.mark.parametrize("family", GRIDS)
def test_a_router_answers_over_every_family(family: str, tmp_path: Path) -> None:
    base = write_tiny(tmp_path / "base", family)
    router = VideoRouter.from_pretrained(write_untrained_router(tmp_path / "router", base))
    assert router.backbone.grid == GRIDS[family]
    sampled = SampledFrames(video(5), list(range(5)), [0.0, 2.0, 4.0, 6.0, 8.0], 1.0, 5, 10.0, "none", "none")
    patches = -(-5 // router.backbone.frames_per_patch)
    for policy in ("global", "fragment"):
        answer = router.answer(sampled, "What is shown?", budget=300, policy=policy, max_new_tokens=2)
        assert len(answer.tokens_by_frame) == len(answer.frame_seconds) == patches
    for system in ("dense", "vidcom2", "adapttoken", "fca+random_drop"):
        answer = router.answer(sampled, "What is shown?", budget=300, system=system, max_new_tokens=2)
        assert answer.tokens == sum(answer.tokens_by_frame) > 0


@torch.no_grad()
@pytest.mark.parametrize("family", [*GRIDS, "internvl"])
def test_the_early_part_of_every_family_serves_routers_as_the_whole_does(family: str, tmp_path: Path) -> None:
    base = str(write_tiny(tmp_path / "base", family))
    whole, early = load_backbone(base), load_backbone(base, early_layers=2)
    tokens = [backbone.encode_frames(video(3)) for backbone in (whole, early)]
    assert torch.equal(*tokens)
    seen = tokens[0][..., : whole.hidden_size]
    states = [backbone.shadow_stack(2).frames(seen)[0] for backbone in (whole, early)]
    assert torch.equal(*states)
    assert torch.equal(whole.embed_text("Why?"), early.embed_text("Why?"))
