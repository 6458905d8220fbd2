"""Seconds to the first token at true InternVL3 geometries, with random weights: speed and shapes, never accuracy.

64 frames, B = 12,288, routed shares fixed to the mix that the published means imply: 61.7 % fragment questions, 17.6 of 64
frames relevant. All take turns in one run; what counts are ratios of medians to dense. On a GPU the 8B geometry, all stages; on a
CPU the 1B geometry, prefill alone. `--out FILE` keeps the figures as JSON. Needs torch and transformers, nothing else.
"""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from videorouter.routers.backbones.shadow import ShadowStack
from videorouter.routers.routing.allocation import allocate
from videorouter.routers.routing.pooling import pool_frames
from videorouter.routers.routing.routers import ImageRouter, SemanticRouter

FRAMES, PER_FRAME, BUDGET, GRID = 64, 256, 12_288, (16, 16)
FRAGMENT_SHARE, RELEVANT = 0.617, 17.6
QUESTION_TOKENS, TEXT_TOKENS = 24, 600
"""Of the question the routers read, and of the whole prompt without images: `Frame-1: <img></img>` is 9 tokens, 64 times."""
GEOMETRIES: dict[str, dict[str, Any]] = {
    "1b": {"hidden_size": 896, "num_hidden_layers": 24, "num_attention_heads": 14, "num_key_value_heads": 2,
           "intermediate_size": 4864, "vocab_size": 151_674},
    "8b": {"hidden_size": 3584, "num_hidden_layers": 28, "num_attention_heads": 28, "num_key_value_heads": 4,
           "intermediate_size": 18944, "vocab_size": 151_674},
    "tiny": {"hidden_size": 64, "num_hidden_layers": 4, "num_attention_heads": 4, "num_key_value_heads": 2,
             "intermediate_size": 96, "vocab_size": 512},
}  # fmt: skip
"""Text towers; `tiny` shows that a script runs, its figures mean nothing."""
VISION: dict[str, Any] = {
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
}
TINY_VISION: dict[str, Any] = VISION | {
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 64,
}
SCALES = {"(2;1,4)": (2, 1, 4), "(4;1,8)": (4, 1, 8)}
BOUNDS = {
    ("prefill", "(2;1,4)"): 0.42, ("prefill", "(4;1,8)"): 0.28,
    ("full", "(2;1,4)"): 0.62, ("full", "(4;1,8)"): 0.50, ("pooled", "(2;1,4)"): 0.57, ("pooled", "(4;1,8)"): 0.45,
}  # fmt: skip
FLOORS = {
    ("prefill", "(2;1,4)"): 0.36, ("prefill", "(4;1,8)"): 0.23,
    ("full", "(2;1,4)"): 0.585, ("full", "(4;1,8)"): 0.464, ("pooled", "(2;1,4)"): 0.542, ("pooled", "(4;1,8)"): 0.420,
}  # fmt: skip


def main() -> int:
    """Measure, print, keep; the exit code says whether every bound is held."""
    parser = argparse.ArgumentParser(description=__doc__)
    cuda = torch.cuda.is_available()
    parser.add_argument("--device", default="cuda" if cuda else "cpu")
    parser.add_argument("--geometry", choices=sorted(GEOMETRIES), default="8b" if cuda else "1b")
    parser.add_argument("--layers", type=int, help="decoder layers, fewer than the geometry has: shapes, no figures")
    parser.add_argument("--rounds", type=int, default=7 if cuda else 3)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    model = random_model(options.geometry, options.device, options.layers)
    stages = Stages(model, options.device)
    figures = measure(stages, options.rounds, whole=options.device.startswith("cuda"))
    figures["machine"] = torch.cuda.get_device_name() if cuda else platform.processor() or platform.machine()
    figures["geometry"], figures["torch"] = options.geometry, torch.__version__
    report = ratios(figures)
    for name, row in report.items():
        print(f"{name:28} {row['seconds']:9.3f} s  {row['of dense']:.3f} of dense  {row['said']}")
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(figures | {"report": report}, indent=1))
    return 0 if all(row["held"] for row in report.values()) or options.layers else 1


def random_model(geometry: str, device: str, layers: int | None = None) -> Any:
    """InternVL of a true geometry with random weights: bfloat16 on a GPU, float32 on a CPU."""
    from transformers import InternVLConfig, InternVLForConditionalGeneration
    from transformers.models.internvl.configuration_internvl import InternVLVisionConfig
    from transformers.models.qwen2.configuration_qwen2 import Qwen2Config

    text = GEOMETRIES[geometry] | ({"num_hidden_layers": layers} if layers else {})
    vision = TINY_VISION if geometry == "tiny" else VISION
    config = InternVLConfig(
        vision_config=InternVLVisionConfig(**vision, image_size=[448, 448], patch_size=[14, 14]).to_dict(),
        text_config=Qwen2Config(**text, max_position_embeddings=32_768).to_dict(),
        downsample_ratio=0.5,
        image_token_id=text["vocab_size"] - 7,
    )
    dtype = torch.bfloat16 if device.startswith("cuda") else torch.float32
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            model = InternVLForConditionalGeneration(config)
    finally:
        torch.set_default_dtype(before)
    return model.eval().requires_grad_(False)


class Stages:
    """The stages before the first token, each timed by itself; values are random, shapes and work are true."""

    def __init__(self, model: Any, device: str) -> None:
        self.model, self.device, self.dtype = model, device, model.dtype
        width = model.config.text_config.hidden_size
        shadow = ShadowStack(model.model.language_model, min(4, model.config.text_config.num_hidden_layers))
        self.image = ImageRouter(shadow, width).to(device, self.dtype).eval()
        self.semantic = SemanticRouter(shadow, width).to(device, self.dtype).eval()
        self.tokens = torch.randn(FRAMES, PER_FRAME, width, device=device, dtype=self.dtype)
        self.question = torch.randn(QUESTION_TOKENS, width, device=device, dtype=self.dtype)
        self.text = torch.randn(1, TEXT_TOKENS, width, device=device, dtype=self.dtype)

    def timed(self, work: Callable[[], object]) -> float:
        """Seconds of one call, the device's queue empty before and after."""
        self._wait()
        started = time.perf_counter()
        with torch.no_grad():
            work()
        self._wait()
        return time.perf_counter() - started

    def vision(self, frames: int = FRAMES, side: int = 448) -> None:
        """Frames through tower and projector, 32 at once."""
        for first in range(0, frames, 32):
            pixels = torch.zeros(min(32, frames - first), 3, side, side, device=self.device, dtype=self.dtype)
            self.model.get_image_features(pixel_values=pixels)

    def route(self, policy: str, pooled: int = 1) -> None:
        """Both routers, or the Semantic Router alone under `global`."""
        self.semantic([self.question])
        if policy == "fragment":
            self.image(pool_frames(self.tokens, pooled, GRID), [self.question])

    def prefill(self, tokens: int) -> None:
        """The whole prompt of `tokens` visual tokens to the first logits."""
        visual = self.tokens.flatten(0, 1)[:tokens].unsqueeze(0)
        prompt = torch.cat([visual, self.text], dim=1)
        states = self.model.model.language_model(inputs_embeds=prompt, use_cache=True).last_hidden_state
        self.model.lm_head(states[:, -1:])

    def vidcom2(self) -> None:
        """VidCom2's choice of a quarter of the tokens."""
        from videorouter.routers.systems.vidcom2 import keep_indices

        keep_indices(self.tokens, 0.25)

    def _wait(self) -> None:
        if self.device.startswith("cuda"):
            torch.cuda.synchronize()


def fed(scales: tuple[int, int, int], policy: str) -> int:
    """Visual tokens fed under a policy: the true allocator, interpolated between 17 and 18 relevant frames."""
    counts = [
        allocate(
            "fragment" if policy == "fragment" else "global", [i < relevant for i in range(FRAMES)],
            tokens_per_frame=PER_FRAME, budget=BUDGET,
            global_scale=scales[0], relevant_scale=scales[1], irrelevant_scale=scales[2],
        ).tokens
        for relevant in (int(RELEVANT), int(RELEVANT) + 1)
    ]  # fmt: skip
    part = RELEVANT - int(RELEVANT)
    return round(counts[0] * (1 - part) + counts[1] * part)


def measure(stages: Stages, rounds: int, whole: bool) -> dict[str, Any]:
    """Median seconds of every piece, taken in rounds; `whole` also vision and routers, and peak memory of the prefills."""
    sizes = {f"prefill {fed(s, p)}": fed(s, p) for s in SCALES.values() for p in ("global", "fragment")}
    pieces: dict[str, Callable[[], object]] = {
        f"prefill {FRAMES * PER_FRAME}": lambda: stages.prefill(FRAMES * PER_FRAME)
    }
    pieces |= {name: partial(stages.prefill, tokens) for name, tokens in sizes.items()}
    pieces["vidcom2"] = stages.vidcom2
    if whole:
        pieces |= {
            "vision": stages.vision,
            "screening": lambda: stages.vision(FRAMES, 224),
            "vision of relevant": lambda: stages.vision(round(RELEVANT)),
            "route global": lambda: stages.route("global"),
            "route fragment": lambda: stages.route("fragment"),
            "route fragment pooled": lambda: stages.route("fragment", 4),
        }
    seconds: dict[str, list[float]] = {name: [] for name in pieces}
    memory: dict[str, float] = {}
    cuda = stages.device.startswith("cuda")
    warming = int(cuda)  # there the first turn compiles
    for turn in range(rounds + warming):
        for name, work in pieces.items():
            if cuda:
                torch.cuda.reset_peak_memory_stats()
            taken = stages.timed(work)
            if cuda:
                memory[name] = torch.cuda.max_memory_allocated() / 2**30
            if turn >= warming:
                seconds[name].append(taken)
                print(f"turn {turn + 1 - warming} {name}: {taken:.3f} s", flush=True)
    return {
        "seconds": {name: statistics.median(taken) for name, taken in seconds.items()},
        "all": seconds,
        "GiB": memory,
    }


def ratios(figures: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Means over the mix, against dense, with their bounds and floors."""
    seconds = figures["seconds"]
    whole = "vision" in seconds
    dense = seconds[f"prefill {FRAMES * PER_FRAME}"] + seconds.get("vision", 0.0)
    rows: dict[str, dict[str, Any]] = {"dense": _row(dense, dense)}
    for name, scales in SCALES.items():
        for router in ("full", "pooled", "screened") if whole else ("prefill",):
            total = 0.0
            for policy, share in (("fragment", FRAGMENT_SHARE), ("global", 1 - FRAGMENT_SHARE)):
                total += share * seconds[f"prefill {fed(scales, policy)}"]
                if whole:
                    total += share * _before(seconds, policy, router)
            rows[f"videorouter {name} {router}"] = _row(
                total, dense, BOUNDS.get((router, name)), FLOORS.get((router, name))
            )
    rows["vidcom2's choice"] = _row(seconds["vidcom2"], seconds[f"prefill {FRAMES * PER_FRAME}"], 0.01)
    if whole:
        for router, bound in (("fragment", 0.075), ("fragment pooled", 0.03)):
            share = FRAGMENT_SHARE * seconds[f"route {router}"] + (1 - FRAGMENT_SHARE) * seconds["route global"]
            rows[f"router, {router}"] = _row(share, dense, bound)
    return rows


def _before(seconds: dict[str, float], policy: str, router: str) -> float:
    """Vision and routers. Screened: small images for the routers' eyes, then only relevant frames in full (fragment)."""
    if policy == "global":
        return seconds["vision"] + seconds["route global"]
    if router == "screened":
        return seconds["screening"] + seconds["route fragment pooled"] + seconds["vision of relevant"]
    return seconds["vision"] + seconds["route fragment" + (" pooled" if router == "pooled" else "")]


def _row(value: float, dense: float, bound: float | None = None, floor: float | None = None) -> dict[str, Any]:
    ratio = value / dense
    said = "" if bound is None else f"bound {bound}{'' if floor is None else f', FLOP floor {floor}'}"
    return {"seconds": value, "of dense": ratio, "held": bound is None or ratio <= bound, "said": said}


if __name__ == "__main__":
    raise SystemExit(main())
