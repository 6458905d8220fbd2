"""What other programs need beside a base's weights: the settings of InternVL's processor, so that `AutoProcessor` loads it (ours).

The names are the published ones. A picture is one tile, and a frame is prepared as `InternVLBackbone` prepares it.
"""

import json
from pathlib import Path
from typing import Any, Final

from videorouter.routers.backbones.pixels import IMAGENET

PROCESSOR: Final = "InternVLProcessor"
VIDEO: Final = "<video>"
"""The tokenizer's last entry. The processor puts frames in its place, so the model has no row for it, as InternVL3 has none."""
ROLES: Final = {
    "start_image_token": "<img>",
    "end_image_token": "</img>",
    "context_image_token": "<IMG_CONTEXT>",
    "video_token": VIDEO,
}
"""Which entry of the tokenizer the processor takes for what."""


def write_processor_files(folder: Path, config: Any) -> None:
    """Write preprocessor_config.json, video_preprocessor_config.json and processor_config.json for an InternVL `config`."""
    height, width = config.vision_config.image_size
    pictures = {
        "do_convert_rgb": True,
        "do_normalize": True,
        "do_rescale": True,
        "do_resize": True,
        "image_mean": list(IMAGENET.mean),
        "image_std": list(IMAGENET.deviation),
        "processor_class": PROCESSOR,
        "resample": 3,  # bicubic
        "rescale_factor": 1 / 255,
        "size": {"height": height, "width": width},
    }
    tiles = {"crop_to_patches": False, "max_patches": 1, "min_patches": 1}
    files = {
        "preprocessor_config.json": {**pictures, **tiles, "image_processor_type": "GotOcr2ImageProcessorFast"},
        "video_preprocessor_config.json": {
            **pictures,
            "do_sample_frames": False,
            "video_processor_type": "InternVLVideoProcessor",
        },
        "processor_config.json": {"image_seq_length": config.image_seq_length, "processor_class": PROCESSOR},
    }
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")
