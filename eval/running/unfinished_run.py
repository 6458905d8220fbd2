"""What makes a run resumable: the manifest that it was started with, and a journal of its answers so far (ours)."""

import json
import os
import platform
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import torch

from videorouter.eval.run_folder import MANIFEST, THRESHOLD, Prediction, prediction_of, write_manifest
from videorouter.eval.running.distribution import Ranks
from videorouter.json_files import read_object
from videorouter.routers.answering.video_router import VideoRouter

PACKAGES: Final = ("videorouter", "torch", "transformers", "numpy", "av", "decord")


def made_manifest(config: Any, router: VideoRouter, prompt: str, left_out: int) -> dict[str, Any]:
    """Versions, machine, model, and every option of the dataclass `config`; `left_out` rows of the benchmark made no question."""
    base = router.config.base
    options = json.loads(json.dumps(asdict(config), default=str))
    # The base that was taken is named below, and a token is nobody's business.
    for name in ("retry_failed", "accept_base", "token", "cache_dir", "local_files_only", "upstream"):
        options.pop(name)
    for name in ("frame_size", "min_pixels", "max_pixels"):
        if options.get(name) is None:  # folders that were begun before these were there are resumed
            options.pop(name, None)
    parameter = next(router.backbone.model.parameters())  # type: ignore[attr-defined]
    return {
        "config": options,
        "models": {options["model_name"]: {"router": None if config.model is None else str(config.model), **asdict(base)}},
        "prompt": prompt,
        "subtitles": config.subtitles,
        "scoring": config.scoring,
        "frames": router.config.frames,
        "sampler": router.config.sampler,
        "shape": asdict(router.config.shape),
        THRESHOLD: router.config.threshold,
        "decoder": "PyAV by timestamps, decord where that fails",
        "dtype": str(parameter.dtype).removeprefix("torch."),
        "seeds": {"systems": 0, "bootstrap": 0},
        "wrong rows left out": left_out,
        "machine": {"system": platform.platform(), "processors": os.cpu_count(), "device": _device(str(router.backbone.device))},
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}},
    }  # fmt: skip


def begin(out: Path, manifest: dict[str, Any]) -> None:
    """Write the manifest of a run that starts or resumes. Raises `ValueError` where `out` was begun with another configuration."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / MANIFEST
    if path.exists():
        begun = read_object(path, "choose another --out")
        unlike = [key for key in ("config", "models", "prompt") if begun.get(key) != manifest[key]]
        if unlike:
            raise ValueError(
                f"{out} was begun with another {', '.join(unlike)}: choose another --out, or ask as before"
            )
    write_manifest(path, manifest)


class Journal:
    """Answers of an unfinished run in files of JSON lines, one a rank, found by what was asked.

    A line that was cut short by a kill is asked again.
    """

    def __init__(self, folder: Path, rank: int = 0) -> None:
        """Read the answers in `folder`, of however many ranks."""
        self.folder, self.path = folder, folder / f"answered-{rank}.jsonl"
        self._known: dict[tuple[str, str, int, int, int | None], Prediction] = {}
        for path in self._files():
            for line in path.read_bytes().splitlines(keepends=True):
                if line.endswith(b"\n"):
                    made = prediction_of(json.loads(line))
                    self._known[made.system, made.item, made.sampled, made.cap, made.budget] = made
                elif path == self.path:
                    os.truncate(path, path.stat().st_size - len(line))

    @classmethod
    def opened(cls, folder: Path, ranks: Ranks) -> "Journal":
        """This rank's journal; all ranks open theirs together, and none writes before all have read."""
        folder.mkdir(parents=True, exist_ok=True)
        ranks.wait()
        journal = cls(folder, ranks.rank)
        ranks.wait()
        return journal

    def known(self, system: str, item: str, sampled: int, cap: int, budget: int) -> Prediction | None:
        """The answer in the journal, if there is one."""
        return self._known.get((system, item, sampled, cap, budget))

    def keep(self, made: Prediction) -> None:
        """Append an answer and flush it to disk."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(made)) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def close(self) -> None:
        """Delete the files: the run is finished, and its answers are in another file."""
        for path in self._files():
            path.unlink()

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("answered-*.jsonl"))


def _device(device: str) -> str:
    return torch.cuda.get_device_name(device) if device.startswith("cuda") else device


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
