"""DeepSpeed ZeRO under Lightning, by name: on GPUs as Lightning runs it, on CPUs over gloo, checkpoints for any world size (ours).

`--trainer.strategy` takes Lightning's own names, and `deepspeed_1`, `deepspeed_2`, `deepspeed_3`, with `_offload` for host memory.

DeepSpeed's own checkpoints are pickled shards that only the same number of ranks reads. Here rank 0 writes one file like every
other strategy's: the fp32 master weights and moments are gathered tensor by tensor, and cut anew for however many ranks resume.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import torch
from pytorch_lightning.accelerators import CUDAAccelerator
from pytorch_lightning.strategies import DDPStrategy, DeepSpeedStrategy, StrategyRegistry
from torch import Tensor, nn
from torch.optim import Optimizer

from videorouter.routers.checkpoints.tensor_file import Entry
from videorouter.routers.checkpoints.trained_file import OPTIMIZER, STATE, write_trained
from videorouter.train.checkpoint_io import MOMENTS, TRAINABLES, read_checkpoint, record_of
from videorouter.train.optimizer_groups import options_of_groups


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
        """All ranks together; rank 0 writes."""
        path, tensors = Path(self.broadcast(str(filepath))), self._trained()
        self._link_moments()
        entries: dict[str, Entry] = {}
        for name, tensor in tensors.items():
            entries[STATE + name] = self._gathered(tensor)
            if tensor.requires_grad:
                entries |= {f"{OPTIMIZER}{name}/{key}": self._gathered(tensor, key) for key in MOMENTS}
        record = record_of(checkpoint, steps=self._steps_taken(), groups=self._groups())
        write_trained(path, entries, record, write=self.is_global_zero)
        self.barrier("checkpoint saved")

    def load_checkpoint(self, checkpoint_path: Any, weights_only: bool | None = None) -> dict[str, Any]:
        """Read the file of any strategy and number of ranks; every rank keeps its part."""
        checkpoint = read_checkpoint(Path(checkpoint_path))
        state, moments = checkpoint.pop("state_dict"), checkpoint.pop("moments")
        tensors = self._trained()
        missing = sorted(tensors.keys() - state.keys())
        if missing:
            raise ValueError(f"{checkpoint_path} lacks {len(missing)} trained tensors, the first {missing[0]}")
        self._begin_moments(checkpoint.pop("steps"))
        module: Any = self.lightning_module
        options = options_of_groups(
            checkpoint.pop("groups"), checkpoint["group_sizes"], checkpoint[TRAINABLES], module.optimizer_groups()
        )
        for group, saved in zip(self._zero.param_groups, options, strict=True):
            group.update(saved)  # the rate of the next step, which schedulers set after every step only
        for name, tensor in tensors.items():
            self._scatter(tensor, state[name])
            if tensor.requires_grad:
                for key in MOMENTS:
                    self._scatter(tensor, moments[f"{name}/{key}"], key)
        return checkpoint | {"state_dict": {}}

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

    def _gathered(self, tensor: Tensor, key: str | None = None) -> Entry:
        """A trained tensor in float32, or one of its moments, whole."""
        from deepspeed.utils import safe_get_full_fp32_param, safe_get_full_optimizer_state

        if not tensor.requires_grad:
            return Entry.of(tensor)
        shape = tuple(getattr(tensor, "ds_shape", tensor.shape))

        def make() -> Tensor:
            whole = safe_get_full_fp32_param(tensor) if key is None else safe_get_full_optimizer_state(tensor, key)
            return whole.float().reshape(shape)

        return Entry(torch.float32, shape, make)

    def _scatter(self, tensor: Tensor, value: Tensor, key: str | None = None) -> None:
        """Set this rank's part of a trained tensor, or of one of its moments, and of the copy that computes."""
        from deepspeed.utils import (
            safe_set_full_fp32_param,
            safe_set_full_optimizer_state,
            safe_set_local_fp32_param,
            safe_set_local_optimizer_state,
        )

        value = value.to(self.root_device)
        if not tensor.requires_grad:
            tensor.data.copy_(value)
        elif hasattr(tensor, "ds_tensor"):
            held: Any = tensor.ds_tensor  # ZeRO-3: padded, so that all ranks hold equally much
            padded = nn.functional.pad(value.flatten(), (0, held.numel() * self.world_size - value.numel()))
            part = padded[held.numel() * self.global_rank :][: held.numel()]
            if key is None:
                safe_set_local_fp32_param(tensor, part)
                held.data.copy_(part)
            else:
                safe_set_local_optimizer_state(tensor, part, key)
        elif key is None:
            safe_set_full_fp32_param(tensor, value)
            tensor.data.copy_(value)
        else:
            safe_set_full_optimizer_state(tensor, value, key)

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
