"""What a model costs, from its config alone: parameters, bytes, FLOPs by stage, peak memory."""

from dataclasses import asdict, dataclass, field, replace
from typing import Any, get_args

import torch

from videorouter.routers.backbones.loading import stored_dtype
from videorouter.routers.cost.devices import DeviceMap, Devices, device_map_of
from videorouter.routers.cost.families import FrameSize, geometry_of
from videorouter.routers.cost.flops import Attention, Stages, dense_stages, routed_stages
from videorouter.routers.cost.geometry import Geometry
from videorouter.routers.cost.memory import PeakMemory, peak_memory
from videorouter.routers.cost.parameters import parameters_by_part
from videorouter.routers.cost.positions import limits_of, positions_of
from videorouter.routers.cost.workload import Workload


@dataclass(frozen=True)
class SystemCost:
    """One system's FLOPs by stage under both conventions for attention (`videorouter.routers.cost.flops`), its peak memory,
    and the positions that its longest prompt takes."""

    flops: dict[Attention, Stages]
    memory: PeakMemory
    positions: int


@dataclass(frozen=True)
class Estimate:
    """Parameters and bytes by part, and the costs of `dense` and `videorouter` under one workload.

    A frame is `size`, (height, width) in pixels, as the tower takes it, and `grid` of tokens, (rows, columns). `video_size` is the
    file's own (height, width) where they follow from it.
    `said` is what a reader must know before the numbers; `devices` is where a device map would put all of it, if that was asked.
    """

    parameters: dict[str, int]
    bytes: dict[str, int]
    dtype: str
    workload: Workload
    systems: dict[str, SystemCost]
    frames_per_patch: int = 1
    size: tuple[int, int] = (0, 0)
    grid: tuple[int, int] = (0, 0)
    video_size: tuple[int, int] | None = None
    said: tuple[str, ...] = ()
    devices: DeviceMap | None = field(default=None)

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
            "said": list(self.said),
            "dtype": self.dtype,
            "workload": asdict(self.workload),
            "frames_per_patch": self.frames_per_patch,
            "size": self.size,
            "grid": self.grid,
            "video_size": self.video_size,
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
                    "positions": cost.positions,
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
            "devices": None if self.devices is None else self.devices.as_json(),
        }


def estimate(
    config: Any,
    workload: Workload | None = None,
    dtype: torch.dtype | None = None,
    *,
    size: FrameSize | None = None,
    devices: Devices | None = None,
) -> Estimate:
    """Cost of a transformers `config` under `workload` (the paper's main run by default), in `dtype` or the config's own.

    `size` is that of a frame as the tower takes it, as in `geometry_of`; with `devices` the estimate says what lies on which.
    No weight is read or made. Raises `ValueError` for a family without formulas, unworkable scales, frames that the model cannot
    encode, or more shadow layers than the model has.
    """
    workload, geometry = workload or Workload(), geometry_of(config, size)
    if workload.shadow_layers > geometry.decoder.layers:
        raise ValueError(f"{workload.shadow_layers} shadow layers: the model has {geometry.decoder.layers}")
    if workload.label_tokens is None:
        workload = replace(workload, label_tokens=geometry.label_tokens)
    tokens = geometry.vision.tokens
    scale = max(vars(workload.scales).values())
    if scale > tokens:
        height, width = geometry.vision.size
        raise ValueError(
            f"scale {scale}: frames of {height}x{width} pixels have {tokens} tokens; take finer --scales, or larger frames "
            "(--video_size, --max_pixels; fewer --frames share their pixels less)"
        )
    small = None
    if workload.screen_side is not None:
        if config.model_type not in SCREENED:
            raise ValueError(
                f"screen_side {workload.screen_side}: there is a cost of screening for {' and '.join(SCREENED)} alone, not for "
                f"{config.model_type!r}"
            )
        small = geometry_of(config, workload.screen_side)
    dtype = dtype or stored_dtype(config) or torch.float32
    parameters = parameters_by_part(config)
    systems = {}
    for name, stages in (("dense", dense_stages), ("videorouter", routed_stages)):
        flops = {attention: stages(geometry, workload, attention, small) for attention in get_args(Attention)}
        memory = peak_memory(
            geometry,
            workload,
            parameters,
            prompt=flops["square"].prompt,
            visual=flops["square"].visual,
            bytes_per_number=dtype.itemsize,
            routed=name != "dense",
            small=small,
        )
        systems[name] = SystemCost(flops, memory, positions_of(geometry, workload, flops["square"].longest))
    limits = limits_of(config.get_text_config())
    told = [limits.told(name, system.positions) for name, system in systems.items()] if limits else []
    memories = {name: system.memory for name, system in systems.items()}
    return Estimate(
        parameters=parameters,
        bytes={part: count * dtype.itemsize for part, count in parameters.items()},
        dtype=str(dtype).removeprefix("torch."),
        workload=workload,
        systems=systems,
        frames_per_patch=geometry.vision.frames_per_patch,
        size=geometry.vision.size,
        grid=geometry.vision.grid,
        said=tuple(line for line in (*told, _unfused(config, geometry, systems, dtype)) if line),
        devices=None if devices is None else device_map_of(config, devices, memories, workload, dtype),
    )


def _unfused(config: Any, geometry: Geometry, systems: dict[str, SystemCost], dtype: torch.dtype) -> str | None:
    """That squares of scores are in the peak, and how much they are; None where attention is fused."""
    if geometry.decoder.fused:
        return None
    sizes = (
        f"{(3 * geometry.decoder.heads + 2) * system.flops['square'].prompt ** 2 * dtype.itemsize / 1e9:,.2f} GB for {name}"
        for name, system in systems.items()
    )
    kind = config.get_text_config().model_type
    return f"attention: transformers' default for {kind!r} decoders is not fused; peaks hold its scores: {', '.join(sizes)}"


SCREENED = ("internvl",)
"""Families whose backbones encode frames of several sizes (`grid_at`)."""
