"""A router folder with random heads over a random base: everything runs, nothing is known. For trials and tests."""

from pathlib import Path

import torch

from videorouter.miniature.base import write_base
from videorouter.routers.backbones import load_backbone
from videorouter.routers.base_identity import weights_hash
from videorouter.routers.checkpoint import BaseModel, RouterConfig, build_routers
from videorouter.routers.runtime import VideoRouter

FRAMES, BUDGET = 64, 768


def write_untrained_router(out: Path, base: Path, *, seed: int = 0, budget: int = BUDGET) -> Path:
    """Write the router folder `out`, and the base it names where `base` holds none yet."""
    if not (base / "config.json").exists():
        write_base(base)
    backbone = load_backbone(str(base))
    config = RouterConfig(base=BaseModel(str(base), weights_hash(base)), frames=FRAMES, budget=budget)
    torch.manual_seed(seed)
    semantic, image = build_routers(backbone, config)
    VideoRouter(backbone, config, semantic, image).save_pretrained(out)
    return out
