"""Records what the published processors make of a few frames: `python -m tests.routers.record_processor_fixtures`.

For an environment of its own, since transformers' video processors need torchvision, which this project does without:

    python -m venv /tmp/processors
    /tmp/processors/bin/pip install torch==2.13.0 transformers==5.23.0 pillow jinja2 safetensors
    /tmp/processors/bin/pip install --no-deps torchvision==0.28.0
    HF_HUB_OFFLINE=1 /tmp/processors/bin/python -m tests.routers.record_processor_fixtures

Beside a CPU build of torch the compiled part of torchvision does not load. Processors use nothing of it, so its operators are
declared here without code, which is all that importing it asks for.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.routers.processor_fixtures import (
    FPS,
    QUESTION,
    RESIZED,
    SHIPPED,
    SHIPPED_PICTURES,
    SHIPPED_VIDEO,
    STEP,
    Recorded,
    labelled_pictures,
    odd_frames,
    shown_frames,
    write_recorded,
)
from tests.routers.published_layouts import LAYOUTS, write_layout

BOXES = "Tensor input, Tensor rois, float spatial_scale, SymInt pooled_height, SymInt pooled_width"
OPERATORS = {
    "nms": "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "roi_align": f"({BOXES}, int sampling_ratio, bool aligned) -> Tensor",
    "roi_pool": f"({BOXES}) -> (Tensor, Tensor)",
    "ps_roi_align": f"({BOXES}, int sampling_ratio) -> (Tensor, Tensor)",
    "ps_roi_pool": f"({BOXES}) -> (Tensor, Tensor)",
    "deform_conv2d": "(Tensor input, Tensor weight, Tensor offset, Tensor mask, Tensor bias, SymInt stride_h, "
    "SymInt stride_w, SymInt pad_h, SymInt pad_w, SymInt dilation_h, SymInt dilation_w, SymInt groups, "
    "SymInt offset_groups, bool use_mask) -> Tensor",
}


def declare_operators() -> None:
    """Once, before torchvision is imported."""
    for name, schema in OPERATORS.items():
        torch.library.define(f"torchvision::{name}", schema)
        torch.library.define(f"torchvision::_{name}_backward", "(Tensor gradient) -> Tensor")


def processed(processor: Any, frames: np.ndarray) -> Any:
    """What `AutoProcessor` makes of one video and the question behind it, in its own chat template or else the tokenizer's."""
    from transformers.video_utils import VideoMetadata

    parts = [{"type": "video"}, {"type": "text", "text": QUESTION}]
    message = {"role": "user", "content": parts}
    template = processor if processor.chat_template else processor.tokenizer
    text = template.apply_chat_template([message], tokenize=False, add_generation_prompt=True)
    metadata = VideoMetadata(
        total_num_frames=STEP * len(frames),
        fps=FPS,
        duration=STEP * len(frames) / FPS,
        frames_indices=[STEP * number for number in range(len(frames))],
    )
    return processor(
        text=[text], videos=[frames], video_metadata=[metadata], do_sample_frames=False, return_tensors="pt"
    )


def recorded(name: str, folder: Path) -> Recorded:
    from transformers import AutoProcessor

    processor = AutoProcessor.from_pretrained(write_layout(name, folder))
    made = processed(processor, shown_frames(name))
    odd = processed(processor, odd_frames()) if name in RESIZED else {}
    spacing = made.get("second_per_grid_ts")
    return Recorded(
        ids=made["input_ids"][0].numpy(),
        pixels=_pixels(made),
        grid=_grid(made),
        seconds_per_patch=None if spacing is None else float(spacing[0]),
        resized=_pixels(odd) if odd else None,
        resized_grid=_grid(odd) if odd else None,
    )


def recorded_shipped() -> dict[str, Recorded]:
    """What `AutoProcessor` makes of frames for a base that this project ships: as one video, and as pictures with labels."""
    from transformers import AutoProcessor

    processor = AutoProcessor.from_pretrained(SHIPPED)
    frames = shown_frames(SHIPPED_PICTURES)
    prompt = processor.apply_chat_template(labelled_pictures(len(frames)), tokenize=False, add_generation_prompt=True)
    made = {
        SHIPPED_VIDEO: processed(processor, frames),
        SHIPPED_PICTURES: processor(text=[prompt], images=list(frames), return_tensors="pt"),
    }
    return {name: Recorded(one["input_ids"][0].numpy(), _pixels(one)) for name, one in made.items()}


def _pixels(made: Any) -> np.ndarray:
    named: torch.Tensor = made["pixel_values_videos" if "pixel_values_videos" in made else "pixel_values"]
    return np.asarray(named.numpy())


def _grid(made: Any) -> np.ndarray | None:
    return made["video_grid_thw"].numpy() if "video_grid_thw" in made else None


def main() -> int:
    declare_operators()
    with tempfile.TemporaryDirectory() as folder:
        for name in LAYOUTS:
            _write(name, recorded(name, Path(folder) / name))
    for name, made in recorded_shipped().items():
        _write(name, made)
    return 0


def _write(name: str, made: Recorded) -> None:
    file = write_recorded(name, made)
    print(name, len(made.ids), "ids, pixels", made.pixels.shape, file.stat().st_size, "bytes")


if __name__ == "__main__":
    sys.exit(main())
