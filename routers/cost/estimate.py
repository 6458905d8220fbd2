"""What a model costs, from its config alone: parameters, bytes, FLOPs by stage, peak memory."""

from dataclasses import asdict, dataclass
from typing import Any, get_args

import torch

from videorouter.routers.cost.flops import Attention, Stages, dense_stages, routed_stages
from videorouter.routers.cost.geometry import Workload, geometry_of, parameters_by_part
from videorouter.routers.cost.memory import PeakMemory, peak_memory


@dataclass(frozen=True)
class SystemCost:
    """One system's FLOPs by stage under both conventions for attention (`videorouter.routers.cost.flops`), and its peak memory."""

    flops: dict[Attention, Stages]
    memory: PeakMemory


@dataclass(frozen=True)
class Estimate:
    """Parameters and bytes by part, and the costs of `dense` and `videorouter` under one workload."""

    parameters: dict[str, int]
    bytes: dict[str, int]
    dtype: str
    workload: Workload
    systems: dict[str, SystemCost]

    def of_dense(self, stage: str, attention: Attention = "square") -> float:
        """VideoRouter's FLOPs of `stage` (a field of `Stages`, or `first_token`) over the dense model's."""
        routed, dense = (self.systems[name].flops[attention] for name in ("videorouter", "dense"))
        return getattr(routed, stage) / getattr(dense, stage)

    def router_share(self, attention: Attention = "square") -> float:
        """The routers' FLOPs over the dense model's until its first token."""
        return self.systems["videorouter"].flops[attention].router / self.systems["dense"].flops[attention].first_token

    def as_json(self) -> dict[str, Any]:
        """Plain numbers, with the ratios; FLOPs and bytes rounded to whole ones."""
        return {
            "dtype": self.dtype,
            "workload": asdict(self.workload),
            "parameters": self.parameters,
            "bytes": self.bytes,
            "systems": {
                name: {
                    "flops": {
                        attention: {stage: round(value) for stage, value in asdict(stages).items()}
                        | {"first_token": round(stages.first_token)}
                        for attention, stages in cost.flops.items()
                    },
                    "memory": {part: round(value) for part, value in asdict(cost.memory).items()}
                    | {"total": round(cost.memory.total)},
                }
                for name, cost in self.systems.items()
            },
            "of_dense": {
                attention: {
                    "first_token": self.of_dense("first_token", attention),
                    "prefill": self.of_dense("prefill", attention),
                    "router": self.router_share(attention),
                }
                for attention in get_args(Attention)
            },
        }


def estimate(config: Any, workload: Workload | None = None, dtype: torch.dtype | None = None) -> Estimate:
    """Cost of a transformers `config` under `workload` (the paper's main run by default), in `dtype` or the config's own.

    No weight is read or made. Raises `ValueError` for a family without formulas, unworkable scales, or more shadow layers
    than the model has.
    """
    workload, geometry = workload or Workload(), geometry_of(config)
    if workload.shadow_layers > geometry.decoder.layers:
        raise ValueError(f"{workload.shadow_layers} shadow layers: the model has {geometry.decoder.layers}")
    dtype = dtype or config.dtype or torch.float32
    parameters = parameters_by_part(config)
    systems = {}
    for name, stages in (("dense", dense_stages), ("videorouter", routed_stages)):
        flops = {attention: stages(geometry, workload, attention) for attention in get_args(Attention)}
        memory = peak_memory(
            geometry,
            workload,
            parameters,
            prompt=flops["square"].prompt,
            visual=flops["square"].visual,
            bytes_per_number=dtype.itemsize,
            routed=name != "dense",
        )
        systems[name] = SystemCost(flops, memory)
    return Estimate(
        parameters=parameters,
        bytes={part: count * dtype.itemsize for part, count in parameters.items()},
        dtype=str(dtype).removeprefix("torch."),
        workload=workload,
        systems=systems,
    )
