"""Lightning saves where an epoch stands and resumes there: an interrupted run reads what an unbroken one would."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor

from tests.shards.samples import sample, write_dataset
from videorouter.shards.epoch_order import EpochOrder, Item, Limits
from videorouter.shards.loader import EpochLoader
from videorouter.shards.reader import ShardDataset

Names = list[str]


def named(shards: ShardDataset, item: Item) -> str:
    return shards[item.sample].key


class Reader(pl.LightningModule):
    """Notes what it is given; stops for good after `until` steps."""

    def __init__(self, until: int | None = None) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.read: list[Names] = []
        self.validated: list[Names] = []
        self.until = until

    def training_step(self, batch: Names, number: int) -> Tensor:
        self.read.append(batch)
        if self.until is not None and len(self.read) > self.until:
            raise KeyboardInterrupt
        return self.weight * 1.0

    def validation_step(self, batch: Names, number: int) -> None:
        self.validated.append(batch)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        return batch


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    videos = [sample(f"v{number:02}", frames=1 + number % 5, seed=number) for number in range(17)]
    return write_dataset(tmp_path_factory.mktemp("data"), {"train-0": videos[:5], "train-1": videos[5:]})


def loader(folder: Path, seed: int | None = 0) -> EpochLoader[str]:
    shards = ShardDataset(folder)
    frames = [place.entry.frames for place in shards.catalogue.places]
    order = EpochOrder([(0,)] * len(shards), frames, Limits(1, 3, tokens=6, tokens_per_frame=1), seed)
    return EpochLoader(partial(named, shards), order, data=shards.catalogue.fingerprint)


def fit(model: Reader, folder: Path, out: Path, resume: Path | None = None) -> Reader:
    every_step = pl.callbacks.ModelCheckpoint(out, "{step}", every_n_train_steps=1, save_top_k=-1)
    trainer = pl.Trainer(
        max_epochs=3, accelerator="cpu", logger=False, callbacks=[every_step], enable_progress_bar=False,
        enable_model_summary=False, num_sanity_val_steps=2,
    )  # fmt: skip
    trainer.fit(model, loader(folder), loader(folder, seed=None), ckpt_path=resume, weights_only=True)
    return model


@pytest.mark.parametrize("step", [1, 4, 9])
def test_an_interrupted_fit_reads_what_an_unbroken_one_reads(data: Path, tmp_path: Path, step: int) -> None:
    unbroken = fit(Reader(), data, tmp_path / "unbroken")
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        fit(Reader(until=step), data, tmp_path / "broken")
    resumed = fit(Reader(), data, tmp_path / "resumed", tmp_path / "broken" / f"step={step}.ckpt")
    assert unbroken.read[:step] + resumed.read == unbroken.read


def test_every_epoch_reads_everything_in_another_order_and_validates_on_all(data: Path, tmp_path: Path) -> None:
    model = fit(Reader(), data, tmp_path)
    epochs = [[name for batch in loader(data).order.batches(epoch) for name in batch] for epoch in range(3)]
    keys = [f"v{item.sample:02}" for epoch in epochs for item in epoch]
    assert [name for batch in model.read for name in batch] == keys
    validated = [name for batch in model.validated for name in batch]
    assert validated[-17:] == [f"v{number:02}" for number in range(17)]
