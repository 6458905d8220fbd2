"""What is shipped: small ordinary folders that know the world, and routers beside them that work at once."""

from pathlib import Path

import pytest
from transformers import InternVLForConditionalGeneration

from videorouter.eval.benchmarks.registry import load_items
from videorouter.miniature.bases import DENSE, DENSE_ROUTER, ROBUST, ROBUST_ROUTER
from videorouter.miniature.world.wordings import KINDS
from videorouter.routers.answering.video_router import VideoRouter

MEGABYTES_AT_MOST = 12


@pytest.mark.parametrize("folder", [DENSE, ROBUST])
def test_a_base_is_a_small_ordinary_transformers_folder_with_a_card(folder: Path) -> None:
    assert sum(path.stat().st_size for path in folder.iterdir()) <= MEGABYTES_AT_MOST * 1e6
    model = InternVLForConditionalGeneration.from_pretrained(folder, dtype="auto")
    assert str(model.dtype) == "torch.bfloat16"
    assert 2e6 <= sum(parameter.numel() for parameter in model.parameters()) <= 6e6
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert f"`{folder.name}`" in card
    assert "| glyph_by_shape |" in card


@pytest.mark.parametrize("folder", [DENSE_ROUTER, ROBUST_ROUTER])
def test_a_shipped_router_answers_what_guessing_would_not(folder: Path, world: Path) -> None:
    router = VideoRouter.from_pretrained(folder)
    items = [item for item in load_items("miniature", world, "test", None) if KINDS[item.group].policy == "fragment"]
    dense = [router.answer(i.video, i.question, i.options, 1024, system="dense").choice == i.answer for i in items]
    assert sum(dense) >= 0.7 * len(items)
    assert len(items) >= 8
    if folder == ROBUST_ROUTER:  # the base `dense` was never shown a pooled frame
        routed = [router.answer(i.video, i.question, i.options).choice == i.answer for i in items]
        assert sum(routed) >= 0.6 * len(items)
