"""What ran, written before the first question is asked (ours)."""

import json
import os
import platform
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import torch

from videorouter.eval.run_folder import MANIFEST, THRESHOLD, write_manifest
from videorouter.routers.runtime import VideoRouter

PACKAGES: Final = ("videorouter", "torch", "transformers", "numpy", "av", "decord")


def made_manifest(config: Any, router: VideoRouter, prompt: str, left_out: int) -> dict[str, Any]:
    """Versions, machine, model, and every option of the dataclass `config`; `left_out` rows of the benchmark made no question."""
    base = router.config.base
    options = json.loads(json.dumps(asdict(config), default=str))
    options.pop("retry_failed")
    parameter = next(router.backbone.model.parameters())  # type: ignore[attr-defined]
    return {
        "config": options,
        "models": {options["model_name"]: {"router": str(config.model), **asdict(base)}},
        "prompt": prompt,
        "subtitles": config.subtitles,
        "scoring": config.scoring,
        "frames": router.config.frames,
        "sampler": router.config.sampler,
        THRESHOLD: router.config.threshold,
        "decoder": "PyAV by timestamps, decord where that fails",
        "dtype": str(parameter.dtype).removeprefix("torch."),
        "seeds": {"systems": 0, "bootstrap": 0},
        "wrong rows left out": left_out,
        "machine": {"system": platform.platform(), "processors": os.cpu_count(), "device": _device(config.device)},
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}},
    }  # fmt: skip


def begin(out: Path, manifest: dict[str, Any]) -> None:
    """Write the manifest of a run, or go on with one. Raises `ValueError` where `out` was begun with another configuration."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / MANIFEST
    if path.exists():
        begun = json.loads(path.read_text(encoding="utf-8"))
        unlike = [key for key in ("config", "models", "prompt") if begun.get(key) != manifest[key]]
        if unlike:
            raise ValueError(
                f"{out} was begun with another {', '.join(unlike)}: choose another --out, or ask as before"
            )
    write_manifest(path, manifest)


def _device(device: str) -> str:
    return torch.cuda.get_device_name(device) if device.startswith("cuda") else device


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
