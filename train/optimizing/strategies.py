"""DeepSpeed ZeRO under Lightning, by name: on GPUs as Lightning runs it, on CPUs over gloo, checkpoints for any world size (ours).

`--trainer.strategy` takes Lightning's own names, and `deepspeed_1`, `deepspeed_2`, `deepspeed_3`, with `_offload` for host memory.

DeepSpeed's own checkpoints are pickled shards that only the same number of ranks reads. Here every rank writes the fp32 master
weights and moments that it holds, by name and place, and reads what it needs out of the parts of however many ranks there were.
"""

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import torch
from pytorch_lightning.accelerators import CUDAAccelerator
from pytorch_lightning.strategies import DDPStrategy, DeepSpeedStrategy, StrategyRegistry
from torch import Tensor, nn
from torch.optim import Optimizer

from videorouter.routers.checkpoints.tensor_file import Entry
from videorouter.routers.checkpoints.trained_file import OPTIMIZER, RNG, STATE, OnDisk, TrainedFile
from videorouter.routers.checkpoints.trained_writer import Part, write_in_parts, write_trained
from videorouter.train.checkpoints.checkpoint_io import MOMENTS, TRAINABLES, record_of, restored
from videorouter.train.checkpoints.zero_fragments import Fragment
from videorouter.train.optimizing.optimizer_groups import options_of_groups

_log = logging.getLogger(__name__)

T = TypeVar("T")


@contextmanager
def whole_parameters(parameters: Sequence[nn.Parameter]) -> Iterator[None]:
    """Within the block, parameters that ZeRO-3 cut are whole on every rank; all ranks together. Others are whole anyway."""
    if not any(hasattr(parameter, "ds_id") for parameter in parameters):
        yield
        return
    import deepspeed

    with deepspeed.zero.GatheredParameters(list(parameters)):
        yield


class ZeroStrategy(DeepSpeedStrategy):
    """Lightning refuses DeepSpeed without CUDA in two places only; both are stepped over where there is none."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if not torch.cuda.is_available():
            self._process_group_backend = "gloo"

    @property
    def root_device(self) -> torch.device:
        return super().root_device if self._on_cuda else torch.device("cpu", 0)

    def setup_environment(self) -> None:
        if self._on_cuda:
            super().setup_environment()
        else:
            DDPStrategy.setup_environment(self)

    def setup_distributed(self) -> None:
        if self._on_cuda:
            super().setup_distributed()
            return
        import deepspeed

        os.environ.setdefault("DS_ACCELERATOR", "cpu")
        # Gloo will do: the shared-memory kernel would be compiled for a minute first.
        deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
        self.set_world_ranks()
        self._init_deepspeed_distributed()

    def optimizer_state(self, optimizer: Optimizer) -> dict[str, Any]:
        """Nothing: moments are gathered when a checkpoint is written."""
        return {}

    def save_checkpoint(self, checkpoint: dict[str, Any], filepath: Any, storage_options: Any = None) -> None:
        """All ranks together, each what it holds; one rank alone writes a file like any other strategy's."""
        path, record = Path(self.broadcast(str(filepath))), self._record(checkpoint)
        self._link_moments()
        trained = self._trained()
        entries = {STATE + name: Entry.of(tensor) for name, tensor in trained.items() if not tensor.requires_grad}
        entries |= {RNG + name: Entry.of(tensor) for name, tensor in checkpoint.get("rng", {}).items()}
        parts: dict[str, Part] = {}
        for name, fragment in self._fragments(trained).items():
            parts[STATE + name] = _part(fragment)
            parts |= {f"{OPTIMIZER}{name}/{key}": _part(fragment, key) for key in MOMENTS}
        if self.world_size > 1:
            write_in_parts(path, parts, entries, record, self)
        else:
            write_trained(path, entries | {name: part.whole() for name, part in parts.items()}, record)

    def load_checkpoint(self, checkpoint_path: Any, weights_only: bool | None = None) -> dict[str, Any]:
        """Read a checkpoint of any strategy and number of ranks; every rank reads what it holds of it.

        With ZeRO-1 and 2 the copy that computes is whole on every rank and read whole, a tensor at a time. Raises `ValueError`
        where it lacks a trained tensor, and `TrainedFileError`.
        """
        with TrainedFile(Path(checkpoint_path)) as file:
            checkpoint = restored(file.record) | {"rng": dict(OnDisk(file, RNG)), "state_dict": {}}
            tensors = self._trained()
            if missing := sorted(tensors.keys() - OnDisk(file, STATE).keys()):
                raise ValueError(f"{checkpoint_path} lacks {len(missing)} trained tensors, the first {missing[0]}")
            self._begin_moments(checkpoint.pop("steps"))
            module: Any = self.lightning_module
            options = options_of_groups(
                checkpoint.pop("groups"), checkpoint["group_sizes"], checkpoint[TRAINABLES], module.optimizer_groups()
            )
            for group, saved in zip(self._zero.param_groups, options, strict=True):
                group.update(saved)  # the rate of the next step, which schedulers set after every step only
            for name, tensor in tensors.items():
                if not hasattr(tensor, "ds_tensor"):
                    tensor.data.copy_(file.tensor(STATE + name))
            for name, fragment in self._fragments(tensors).items():
                fragment.set(file.part(STATE + name, fragment.elements))
                for key in MOMENTS:
                    fragment.set(file.part(f"{OPTIMIZER}{name}/{key}", fragment.elements), key)
            _log.info("%s: this rank read %.1f MB", checkpoint_path, file.bytes_read / 1e6)
            return checkpoint

    def all_told(self, told: T) -> list[T]:
        """See `Ranks`."""
        everyone: list[Any] = [None] * self.world_size
        torch.distributed.all_gather_object(everyone, told)
        return everyone

    @property
    def rank(self) -> int:
        """See `Ranks`."""
        return int(self.global_rank)

    def load_model_state_dict(self, checkpoint: Mapping[str, Any], strict: bool = True) -> None:
        """Done by `load_checkpoint`."""

    @property
    def _on_cuda(self) -> bool:
        return isinstance(self.accelerator, CUDAAccelerator)

    @property
    def _zero(self) -> Any:
        return self.deepspeed_engine.optimizer

    def _trained(self) -> dict[str, Tensor]:
        module: Any = self.lightning_module
        return module.trained_tensors()

    def _fragments(self, trained: Mapping[str, Tensor]) -> dict[str, Fragment]:
        """What this rank holds of trained parameters, by name."""
        found = {name: Fragment.of(tensor, self.rank) for name, tensor in trained.items() if tensor.requires_grad}
        return {name: fragment for name, fragment in found.items() if fragment is not None}

    def _record(self, checkpoint: Mapping[str, Any]) -> dict[str, Any]:
        return record_of(checkpoint, steps=self._steps_taken(), groups=self._groups())

    def _flat_parts(self) -> list[Tensor]:
        """The flat fp32 tensors that the torch optimizer steps, this rank's part of everything trained."""
        zero = self._zero
        flat = getattr(zero, "fp32_partitioned_groups_flat", None)
        return list(zero.single_partition_of_fp32_groups if flat is None else flat)

    def _begin_moments(self, steps: int) -> None:
        """Moments exist only after a first step; make them as AdamW does."""
        zero = self._zero
        for flat in self._flat_parts():
            state = zero.optimizer.state[flat]
            state["step"] = torch.tensor(float(steps))
            for key in MOMENTS:
                state[key] = torch.zeros_like(flat)
        self._link_moments()

    def _link_moments(self) -> None:
        """ZeRO-1 and 2 link moments to parameters at the first step, but those of later groups before they are there."""
        if hasattr(self._zero, "_hp_optimizer_states_linked"):
            self._zero._hp_optimizer_states_linked = False
            self._zero._lazy_init_hp_params_optimizer_state()

    def _steps_taken(self) -> int:
        states = [self._zero.optimizer.state.get(flat) for flat in self._flat_parts()]
        return int(states[0]["step"]) if states and states[0] else 0

    def _groups(self) -> list[dict[str, Any]]:
        return [{key: value for key, value in group.items() if key != "params"} for group in self._zero.param_groups]


def _part(fragment: Fragment, moment: str | None = None) -> Part:
    """A fragment as it is written, made when its turn comes."""
    entry = Entry(torch.float32, (len(fragment.elements),), lambda: fragment.read(moment))
    return Part(entry, fragment.elements.start, fragment.shape)


ZERO: Final = ("deepspeed_1", "deepspeed_2", "deepspeed_3", "deepspeed_2_offload", "deepspeed_3_offload")
"""ZeRO stages 1 to 3; `_offload` keeps optimizer states, and at stage 3 weights, in host memory (needs a compiler)."""


def register() -> None:
    """Make the names known to Lightning's Trainer. Raises nothing: deepspeed is imported when one of them is asked for."""
    for name in ZERO:
        if name not in StrategyRegistry:
            StrategyRegistry.register(name, ZeroStrategy, description="DeepSpeed ZeRO", **_options(name))


def _options(name: str) -> dict[str, Any]:
    stage, offload = int(name[len("deepspeed_")]), name.endswith("_offload")
    return {"stage": stage, "offload_optimizer": offload, "offload_parameters": offload and stage == 3}
