"""Every figure that needs a GPU, in one command: `make bench-gpu`, or `python -m benchmarks.gpu` in a bare checkout.

Seconds to the first token, peak memory against the estimate, pictures against the real image processor, AdaptToken against its
Lite, answers one by one against eight at once: at true InternVL3-8B geometry with random weights, so speed and shapes, never
accuracy. Each part stands alone: one that fails is told, the others go on. Needs torch and transformers alone;
`--geometry tiny --device cpu` shows that it runs, nothing else.
"""

import argparse
import json
import statistics
import time
import traceback
from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from benchmarks.latency import FRAMES, SCALES, Stages, fed, measure, random_model, ratios
from videorouter.routers.backbones.decoding import decode, decode_together
from videorouter.routers.backbones.pixels import IMAGENET
from videorouter.routers.backbones.prompt import Prompt
from videorouter.routers.cost.estimate import estimate
from videorouter.routers.cost.families import geometry_of
from videorouter.routers.cost.memory import peak_memory
from videorouter.routers.cost.workload import Workload
from videorouter.routers.systems.adapttoken import AdaptToken, AdaptTokenLite
from videorouter.routers.systems.query import Query
from videorouter.video.frames import resize_frames

AT_ONCE = 8
TEXT = 600
"""Tokens of a prompt beside its frames."""


def main() -> int:
    """Run all parts, print what they found, keep it as JSON; the exit code says whether all ran and every bound was held."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--geometry", default="8b", help="8b, 1b, or tiny: shapes alone")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("runs/bench-gpu/figures.json"))
    options = parser.parse_args()
    found: dict[str, Any] = {"machine": _machine(options.device), "date": date.today().isoformat(), "parts": {}}
    print(json.dumps(found["machine"]), flush=True)
    model = random_model(options.geometry, options.device)
    held = True
    for name, part in PARTS.items():
        started = time.perf_counter()
        try:
            rows = part(model, options)
        except Exception as error:
            traceback.print_exc()
            rows = {"failed": {"said": f"{type(error).__name__}: {error}", "held": False}}
        found["parts"][name] = rows
        held &= all(row.get("held", True) for row in rows.values())
        print(f"\n{name} ({time.perf_counter() - started:.0f} s)")
        for row, values in rows.items():
            print(f"  {row:32} " + "  ".join(f"{key} {_figure(value)}" for key, value in values.items()), flush=True)
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(found, indent=1))
    return 0 if held else 1


Rows = dict[str, dict[str, Any]]


def first_token(model: Any, options: argparse.Namespace) -> Rows:
    """Seconds to the first token over the published mix, against dense, with bounds and FLOP floors."""
    figures = measure(Stages(model, options.device), options.rounds, whole=True)
    rows: Rows = ratios(figures)
    rows |= {f"peak of {name}": {"GiB": size} for name, size in figures["GiB"].items() if size}
    return rows


def memory(model: Any, options: argparse.Namespace) -> Rows:
    """Peak memory of an answer, dense and at both published scales, against the closed form: within 15 %."""
    if not options.device.startswith("cuda"):
        return {}
    stages, rows = Stages(model, options.device), {}
    parameters = estimate(model.config).parameters
    geometry, width = geometry_of(model.config), model.dtype.itemsize
    told = {"dense": FRAMES * 256} | {f"fragment {name}": fed(scales, "fragment") for name, scales in SCALES.items()}
    for name, tokens in told.items():
        torch.cuda.reset_peak_memory_stats()
        with torch.no_grad():
            stages.vision()
            stages.prefill(tokens)
        measured = torch.cuda.max_memory_allocated()
        work = Workload(text_tokens=TEXT, label_tokens=0)
        expected = peak_memory(
            geometry, work, parameters, prompt=tokens + TEXT, visual=tokens, bytes_per_number=width, routed=True
        ).total
        ratio = measured / expected
        rows[name] = {
            "GiB": measured / 2**30,
            "estimate": expected / 2**30,
            "ratio": ratio,
            "held": abs(ratio - 1) <= 0.15,
        }
    return rows


def pictures(model: Any, options: argparse.Namespace) -> Rows:
    """64 frames of 640 x 360 made ready by us and by transformers' image processor: seconds, and the largest difference."""
    from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil

    side = model.config.vision_config.image_size[0]
    settings: dict[str, Any] = {
        "image_mean": list(IMAGENET.mean), "image_std": list(IMAGENET.deviation), "crop_to_patches": False,
    }  # fmt: skip
    processor = GotOcr2ImageProcessorPil(size={"height": side, "width": side}, **settings)
    frames = np.random.default_rng(0).integers(0, 256, (FRAMES, 360, 640, 3), dtype=np.uint8)

    def ours() -> torch.Tensor:
        return IMAGENET(torch.from_numpy(resize_frames(frames, side)).to(options.device))

    def theirs() -> torch.Tensor:
        return processor(images=list(frames), return_tensors="pt").pixel_values.to(options.device)

    mine, own = _median(ours, options), _median(theirs, options)
    apart = float((ours().cpu() - theirs().cpu()).abs().max())
    return {
        "ours": {"seconds": mine, "of theirs": mine / own, "largest difference": apart, "held": apart <= 1e-4},
        "the processor": {"seconds": own},
    }


def adapttoken(model: Any, options: argparse.Namespace) -> Rows:
    """AdaptToken and Lite at 1,024 frames when half of the groups suffice; frames are encoded group by group, on demand."""
    frames = 1024 if options.geometry != "tiny" else 128
    backbone = _Groups(model, options.device, frames)
    groups, budget = frames // 64 + 1, 7_040
    whole = AdaptToken(backbone, layer=backbone.layers // 2)  # type: ignore[arg-type]
    half = AdaptTokenLite(
        backbone,  # type: ignore[arg-type]
        layer=backbone.layers // 2,
        max_entropy=1e9,
        confident_groups=groups // 2,
    )
    query = Query("Which?", None, seconds=tuple(map(float, range(frames))))
    seconds = {
        system.name: _median(partial(system.compress, backbone, query, budget), options, rounds=1)
        for system in (whole, half)
    }
    ratio = seconds["adapttoken_lite"] / seconds["adapttoken"]
    return {
        "adapttoken": {"seconds": seconds["adapttoken"]},
        "adapttoken_lite": {
            "seconds": seconds["adapttoken_lite"],
            "of adapttoken": ratio,
            "bound": 0.55,
            "held": ratio <= 0.55 or options.geometry == "tiny",
        },
    }


def answers_together(model: Any, options: argparse.Namespace) -> Rows:
    """Seconds a generated answer of 32 tokens behind what VideoRouter feeds of a fragment: one by one, and eight at once."""
    tokens = fed(SCALES["(2;1,4)"], "fragment") if options.geometry != "tiny" else 256
    width = model.config.get_text_config().hidden_size
    longer = [TEXT + 40 * number for number in range(AT_ONCE)]
    prompts = [
        Prompt(
            torch.randn(1, tokens + text, width, device=options.device, dtype=model.dtype),
            torch.arange(tokens, device=options.device),
        )
        for text in longer
    ]
    new = 32 if options.geometry != "tiny" else 4
    one = _median(lambda: [decode(model, prompt, new, {-1}) for prompt in prompts], options, rounds=2) / AT_ONCE
    several = _median(lambda: decode_together(model, prompts, new, {-1}), options, rounds=2) / AT_ONCE
    return {
        "one by one": {"seconds": one, "tokens fed": tokens},
        f"{AT_ONCE} at once": {"seconds": several, "of one by one": several / one},
    }


PARTS: dict[str, Callable[[Any, argparse.Namespace], Rows]] = {
    "seconds to the first token": first_token,
    "peak memory against the estimate": memory,
    "pictures against the image processor": pictures,
    "AdaptToken against Lite": adapttoken,
    "generated answers": answers_together,
}


class _Groups:
    """What AdaptToken needs of a backbone, around a model with random weights: no tokenizer, words are random embeddings."""

    path = "random"

    def __init__(self, model: Any, device: str, frames: int) -> None:
        from videorouter.routers.backbones.attention_tap import attention_tap
        from videorouter.routers.backbones.decoding import decode
        from videorouter.routers.backbones.prompt import Prompt

        self._tap, self._decode, self._prompt = attention_tap, decode, Prompt
        self.model, self.device, self._frames = model, torch.device(device), frames
        text = model.config.get_text_config()
        self.hidden_size, self.layers = text.hidden_size, text.num_hidden_layers
        side = model.config.vision_config.image_size[0]
        cells = int(side // model.config.vision_config.patch_size[0] * model.config.downsample_ratio)
        self.grid, self.tokens_per_frame, self._side = (cells, cells), cells * cells, side
        self.position_policy = "contiguous"
        self._words = torch.randn(1, TEXT, self.hidden_size, device=device, dtype=model.dtype)

    def __len__(self) -> int:
        return self._frames

    @torch.no_grad()
    def __getitem__(self, frames: list[int]) -> torch.Tensor:
        pixels = [torch.zeros(len(part), 3, self._side, self._side, device=self.device, dtype=self.model.dtype)
                  for part in (frames[first : first + 32] for first in range(0, len(frames), 32))]  # fmt: skip
        return torch.cat([self.model.get_image_features(pixel_values=part).pooler_output for part in pixels])

    def embed_prompt(self, kept: Any, text: str, seconds: Any = None, between: Any = None) -> Any:
        embeddings = torch.cat([kept.embeddings[None], self._words], dim=1)
        return self._prompt(embeddings, torch.arange(kept.tokens, device=self.device))

    def inspect(self, prompt: Any, layer: int, max_new_tokens: int) -> Any:
        with self._tap(self.model.model.language_model, layer, prompt) as seen:
            decoded = self._decode(self.model, prompt, 4, {-1}, entropies=True)
        return SimpleNamespace(attention=seen[0], entropies=decoded.entropies, text="")


def _median(work: Callable[[], object], options: argparse.Namespace, rounds: int | None = None) -> float:
    """Median seconds after one run that warms."""
    cuda = options.device.startswith("cuda")
    seconds = []
    for turn in range((rounds or options.rounds) + 1):
        if cuda:
            torch.cuda.synchronize()
        started = time.perf_counter()
        with torch.no_grad():
            work()
        if cuda:
            torch.cuda.synchronize()
        if turn:
            seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def _machine(device: str) -> dict[str, str]:
    import platform

    import transformers

    name = torch.cuda.get_device_name() if device.startswith("cuda") else platform.processor() or platform.machine()
    return {"device": name, "torch": torch.__version__, "transformers": transformers.__version__}


def _figure(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    raise SystemExit(main())
