"""What each layout's own processor makes of a few frames and a question: recorded once where torchvision is, read everywhere.

`record_processor_fixtures.py` writes the files. Pixels have at most 256 values a channel, those of a byte, so that a file
holds bytes and a table of values, without loss.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from tests.routers.published_layouts import FAMILY_OF

FOLDER: Final = Path(__file__).parent / "processor_fixtures"
QUESTION: Final = "What is shown in the video?"
FPS: Final = 25.0
STEP: Final = 20
"""Frames of the file between two that are shown: 0.8 seconds."""
RESIZED: Final = (
    "InternVL3-8B-hf", "llava-onevision-qwen2-7b-ov-hf", "Qwen2.5-VL-7B-Instruct", "Qwen3-VL-2B-Instruct",
)  # fmt: skip
"""Layouts, one a family, of which pictures were recorded that the processor had to resize."""
SHIPPED: Final = Path(__file__).parents[2] / "miniature" / "shipped" / "dense"
"""A base that this project ships; the other's processor files are the same."""
SHIPPED_VIDEO: Final = "shipped-video"
SHIPPED_PICTURES: Final = "shipped-pictures"


@dataclass(frozen=True)
class Recorded:
    """Of the frames of `shown_frames`: token ids `[L]`, pixels in the processor's shape, what else it hands to the model.

    `grid` is `[1, 3]`, of Qwen-VL alone; `seconds_per_patch` of Qwen2.5-VL alone. `resized` are the pixels, and `resized_grid`
    the grid, of `odd_frames`, for the layouts in `RESIZED`.
    """

    ids: np.ndarray
    pixels: np.ndarray
    grid: np.ndarray | None = None
    seconds_per_patch: float | None = None
    resized: np.ndarray | None = None
    resized_grid: np.ndarray | None = None


def shown_frames(name: str) -> np.ndarray:
    """uint8 `[T, H, W, 3]` that no processor resizes: the layout's square, or Qwen-VL's whole cells, wider than high."""
    shapes = {
        "internvl": (3, 56, 56),
        "llava_onevision": (3, 76, 76),
        "qwen2_5_vl": (6, 56, 84),
        "qwen3_vl": (6, 64, 96),
    }
    larger = "20B" in name or name in (SHIPPED_VIDEO, SHIPPED_PICTURES)
    frames, height, width = (3, 112, 112) if larger else shapes[FAMILY_OF[name]]
    blocks = np.random.default_rng(0).integers(0, 256, (frames, height // 4 + 1, width // 4 + 1, 3), dtype=np.uint8)
    return blocks.repeat(4, axis=1).repeat(4, axis=2)[:, :height, :width]


def odd_frames() -> np.ndarray:
    """uint8 `[2, 70, 110, 3]`: two frames that every processor resizes."""
    blocks = np.random.default_rng(1).integers(0, 256, (2, 7, 11, 3), dtype=np.uint8)
    return blocks.repeat(10, axis=1).repeat(10, axis=2)


def labelled_pictures(count: int) -> list[dict[str, Any]]:
    """The message with which others ask as this project does: each frame a picture behind its label, then the question."""
    parts = [({"type": "text", "text": f"Frame-{number}: "}, {"type": "image"}) for number in range(1, count + 1)]
    content = [part for pair in parts for part in pair]
    return [{"role": "user", "content": [*content, {"type": "text", "text": QUESTION}]}]


def shown_seconds(frames: int) -> list[float]:
    return [number * STEP / FPS for number in range(frames)]


def write_recorded(name: str, recorded: Recorded) -> Path:
    FOLDER.mkdir(exist_ok=True)
    kept: dict[str, Any] = {"ids": recorded.ids.astype(np.int32), **_packed("pixels", recorded.pixels)}
    if recorded.grid is not None:
        kept["grid"] = recorded.grid
    if recorded.seconds_per_patch is not None:
        kept["seconds_per_patch"] = np.float64(recorded.seconds_per_patch)
    if recorded.resized is not None:
        kept |= _packed("resized", recorded.resized)
    if recorded.resized_grid is not None:
        kept["resized_grid"] = recorded.resized_grid
    np.savez_compressed(FOLDER / f"{name}.npz", **kept)
    return FOLDER / f"{name}.npz"


def read_recorded(name: str) -> Recorded:
    with np.load(FOLDER / f"{name}.npz") as kept:
        return Recorded(
            ids=kept["ids"].astype(np.int64),
            pixels=_unpacked(kept, "pixels"),
            grid=kept.get("grid"),
            seconds_per_patch=float(kept["seconds_per_patch"]) if "seconds_per_patch" in kept else None,
            resized=_unpacked(kept, "resized") if "resized_codes" in kept else None,
            resized_grid=kept.get("resized_grid"),
        )


def _packed(name: str, pixels: np.ndarray) -> dict[str, np.ndarray]:
    values, codes = np.unique(pixels.astype(np.float32), return_inverse=True)
    assert len(values) <= 3 * 256, "pixels of more than a byte a channel"
    return {f"{name}_values": values, f"{name}_codes": codes.reshape(pixels.shape).astype(np.uint16)}


def _unpacked(kept: "np.lib.npyio.NpzFile", name: str) -> np.ndarray:
    unpacked: np.ndarray = kept[f"{name}_values"][kept[f"{name}_codes"]]
    return unpacked
