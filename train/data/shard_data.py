"""What all stages' data have in common: two splits of a data set, their orders, and loaders that every rank shares equally."""

import logging
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, Final

import pytorch_lightning as pl

from videorouter.routers.backbones.frame_shape import FrameShape
from videorouter.shards.catalogue import read_record
from videorouter.shards.epoch_order import EpochOrder, Item
from videorouter.shards.loader import PREFETCH
from videorouter.shards.reader import ShardDataset
from videorouter.shards.sidecar import read_manifest
from videorouter.shards.storage import Storage
from videorouter.train.data.feeding import Feeding, RingSize
from videorouter.train.data.steps import Counts, StepLoader, batches_of_step

_log = logging.getLogger(__name__)
_HUB: Final = "hf://datasets/"
SIZES_READ = 64
"""Videos whose size is looked at."""


class ShardData(pl.LightningDataModule):
    """Every rank takes equally many steps and resumes where it stood. Roles are "train" and "val"."""

    def __init__(
        self,
        shards: str,
        workers: int,
        tolerate: int,
        batches_a_step: int | None,
        seed: int,
        train_split: str,
        val_split: str,
    ) -> None:
        super().__init__()
        self.folder, self.workers, self.tolerate, self.seed = shards, workers, tolerate, seed
        self.batches_a_step = batches_a_step
        self.splits = {"train": train_split, "val": val_split}
        self.datasets: dict[str, ShardDataset] = {}
        self._orders: dict[str, EpochOrder] = {}
        self._feeding: Feeding | None = None
        self._rings: dict[str, RingSize] = {}

    @abstractmethod
    def prepare(self, role: str, shards: ShardDataset) -> EpochOrder:
        """Look through a split's labels; the order of its epochs. Raises `ValueError` where nothing in it is usable."""

    @abstractmethod
    def reader(self, role: str) -> Callable[[Item], Any]:
        """What becomes of an item."""

    @abstractmethod
    def counter(self, role: str) -> Callable[[Item], Counts]:
        """The labels of an item."""

    def setup(self, stage: str) -> None:
        """Raises `ValueError` where a split has nothing usable or too little for the ranks, `ShardError` where it does not read."""
        for role, split in self.splits.items():
            self.datasets[role] = ShardDataset(self.folder, split=split)
            self._orders[role] = self.prepare(role, self.datasets[role])
        self.train_dataloader()
        if getattr(self.trainer, "limit_val_batches", 1) != 0:
            self.val_dataloader()

    def train_dataloader(self) -> StepLoader[Any]:
        """Raises `TooLittleData` where an epoch does not feed all ranks for one step."""
        return self._loader("train")

    def val_dataloader(self) -> StepLoader[Any]:
        """Raises `TooLittleData` where the split does not feed all ranks once."""
        return self._loader("val")

    @property
    def fingerprint(self) -> str:
        """Of all that is read, both splits."""
        return " ".join(shards.catalogue.fingerprint for shards in self.datasets.values())

    def check_shape(self, shape: FrameShape) -> None:
        """Raise `ValueError` where frames are to be seen at their own aspect ratio, and the shards hold squares.

        Squares are known by the first videos' sizes, unless the build says that they are the videos' own.
        """
        catalogue = self.datasets["train"].catalogue
        if shape.aspect == "square":
            return
        manifest = read_manifest(Storage(self.folder))
        if manifest is not None and manifest.config.get("aspect") == "own":
            return
        records = (read_record(catalogue.storage, place) for place in catalogue.places[:SIZES_READ])
        if all(record.height == record.width for record in records):
            raise ValueError(
                f"{self.folder} holds frames squeezed to squares, and aspect 'own' is for frames at their own aspect ratio: build "
                "shards with --aspect own, or train with --model.init_args.aspect square"
            )

    def feed(self, feeding: Feeding) -> None:
        """Have workers make frames ready as `feeding` says. Raises `ValueError` where memory does not hold what they have ready.

        Slots are as large as the largest of the first videos; a larger one is decoded when it is asked for.
        """
        self._feeding = feeding
        if not self.workers:
            return
        for role, shards in self.datasets.items():
            catalogue = shards.catalogue
            records = [read_record(catalogue.storage, place) for place in catalogue.places[:SIZES_READ]]
            sizes = {(record.height, record.width) for record in records}
            largest = max(feeding.bytes_of(frames, *size) for frames in set(frames_of(shards)) for size in sizes)
            videos = max(len(batch) for batch in self._orders[role].batches(0))
            self._rings[role] = RingSize.of(self.workers, PREFETCH, videos, largest)
        max(self._rings.values(), key=lambda ring: ring.bytes).check(loaders=len(self._rings))

    def sampling(self, frames: int | None, sampler: str | None) -> tuple[int, str]:
        """How many frames a video, and by which sampler: as asked, otherwise as in the shards' training split.

        A video that is too short has fewer frames than the rest: the number is the largest. A line of the log says where what was
        asked for is not what is trained on.
        """
        catalogue = self.datasets["train"].catalogue
        held = max(frames_of(self.datasets["train"]))
        by = read_record(catalogue.storage, catalogue.places[0]).sampler
        for asked, there, name in ((frames, held, "frames"), (sampler, by, "sampler")):
            if asked is not None and asked != there:
                _log.warning(
                    "the export will say %s %s, as asked; the shards in %s have %s: what is served is then not what was trained",
                    name, asked, self.folder, there,
                )  # fmt: skip
        return held if frames is None else frames, by if sampler is None else sampler

    def origins(self) -> list[dict[str, Any]]:
        """What was learned from, for the model card: each data set's folder, fingerprint and licences."""
        return [origin(self.folder)]

    def _loader(self, role: str) -> StepLoader[Any]:
        trainer: Any = self.trainer
        return StepLoader(
            self.reader(role),
            self._orders[role],
            self.counter(role),
            feeding=self._feeding,
            ring=self._rings.get(role),
            batches_a_step=batches_of_step(trainer, self.batches_a_step) if role == "train" else None,
            whole_epoch=role == "val",
            data=self.datasets[role].catalogue.fingerprint,
            rank=trainer.global_rank if trainer else 0,
            world_size=trainer.world_size if trainer else 1,
            workers=self.workers,
            tolerate=self.tolerate,
        )


def frames_of(shards: ShardDataset) -> list[int]:
    """Frames of every sample."""
    return [place.entry.frames for place in shards.catalogue.places]


def origin(folder: str) -> dict[str, Any]:
    """A data set's folder, id on the Hub, fingerprint and licences; of one that is still being built the last two are unknown."""
    manifest = read_manifest(Storage(folder))
    told: dict[str, Any] = {"folder": folder, "hub": hub_id(folder), "fingerprint": None, "licences": []}
    if manifest is None:
        return told
    return told | {"fingerprint": manifest.fingerprint, "licences": manifest.licences}


def hub_id(folder: str) -> str | None:
    """`user/name` of the address of a data set on the Hub; None for other folders."""
    if not folder.startswith(_HUB):
        return None
    return "/".join(folder.removeprefix(_HUB).partition("@")[0].split("/")[:2])
