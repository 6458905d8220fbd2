"""A rank of a training of 50 million parameters under ZeRO: saves after a step, or resumes and notes what reading took."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from videorouter.train.checkpoints.checkpoint_io import TRAINABLES, TrainedFileIO
from videorouter.train.optimizing.optimizer_groups import Group
from videorouter.train.optimizing.strategies import ZeroStrategy

WIDTH, LAYERS = 2048, 12


class Wide(pl.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(*(nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(LAYERS)))

    def trained_tensors(self) -> dict[str, Tensor]:
        return dict(self.layers.named_parameters())

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        found: Tensor = self.layers(batch[0])
        return found.square().mean()

    def configure_optimizers(self) -> Any:
        return torch.optim.AdamW(self.parameters(), lr=1e-4)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        (group,) = self.optimizer_groups()
        checkpoint |= {"state_dict": {}, TRAINABLES: list(group.names), "group_sizes": [len(group.names)]}

    def optimizer_groups(self) -> list[Group]:
        return [Group(1e-4, 0.01, tuple(self.trained_tensors()))]


class Noting(ZeroStrategy):
    """Notes how far memory grows while a checkpoint is read, and how much of it is."""

    def load_checkpoint(self, checkpoint_path: Any, weights_only: bool | None = None) -> dict[str, Any]:
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
        held, read = memory("VmRSS"), bytes_read()
        found = super().load_checkpoint(checkpoint_path, weights_only)
        told = {"growth": memory("VmHWM") - held, "read": bytes_read() - read}
        Path(f"{sys.argv[1]}-{self.global_rank}.json").write_text(json.dumps(told))
        return found


def memory(name: str) -> int:
    """Bytes."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines[name].split()[0]) * 1024


def bytes_read() -> int:
    """Of files, by this process."""
    return int(Path("/proc/self/io").read_text().split("rchar:")[1].split()[0])


def main(out: str, stage: str, steps: str, resume: str | None = None) -> None:
    torch.manual_seed(0)
    trainer = pl.Trainer(
        strategy=Noting(stage=int(stage)), devices=int(os.environ["LOCAL_WORLD_SIZE"]), max_steps=int(steps), logger=False,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False, accelerator="cpu",
        plugins=[TrainedFileIO()],
    )  # fmt: skip
    model = Wide()
    trainer.fit(model, DataLoader(TensorDataset(torch.ones(64, WIDTH)), batch_size=4), ckpt_path=resume)
    trainer.save_checkpoint(f"{out}.ckpt")


if __name__ == "__main__":
    main(*sys.argv[1:])
