"""What `device_map="auto"` would put on each of several GPUs, and whether an answer fits there: from shapes, without a weight.

The map is transformers' own, made for a model on the meta device. Beside its weights a device holds the cache of its own layers and
works on the whole prompt in one of them at a time; the one that holds the embeddings also holds the video's tokens, and routers run
there, over copies of their own of the first layers. Layers that are left to the CPU or a disk are computed on the first GPU, which
keeps space for the largest of them.
"""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Final

import torch

from videorouter.routers.cost.memory import PeakMemory
from videorouter.routers.cost.parameters import meta_model, part_of
from videorouter.routers.cost.workload import Workload

GIB: Final = 2**30
UNLIMITED: Final = 2**62
"""Bytes of a CPU whose memory was not given."""
USABLE: Final = 0.9
"""Share of a single GPU that transformers' "auto" fills with weights; of several it fills each but the last evenly."""


@dataclass(frozen=True)
class Devices:
    """`gpus` alike, of `gpu_memory` GiB each, and a CPU of `cpu_memory` GiB; None is as much as is needed."""

    gpus: int
    gpu_memory: float
    cpu_memory: float | None = None

    def __post_init__(self) -> None:
        """Raises `ValueError` for no GPU, and for one without memory."""
        if self.gpus < 1 or self.gpu_memory <= 0:
            raise ValueError(f"{self.gpus} GPUs of {self.gpu_memory} GiB: give at least one, with more than 0 GiB")
        if self.cpu_memory is not None and self.cpu_memory < 0:
            raise ValueError(f"cpu_memory is {self.cpu_memory} GiB: give 0 or more")


@dataclass(frozen=True)
class DeviceUse:
    """Bytes beside the map's weights while one system answers: routers' copies, cache, and the largest work at once."""

    copies: float
    cache: float
    work: float

    @property
    def total(self) -> float:
        return self.copies + self.cache + self.work


@dataclass(frozen=True)
class DeviceLoad:
    """One device: "cuda:N", "cpu" or "disk", its bytes (None: no bound), what it holds, their bytes, and each system's use.

    `reserved` is space for the largest layer that lies elsewhere and is computed here.
    """

    device: str
    capacity: float | None
    holds: str
    weights: float
    reserved: float
    systems: dict[str, DeviceUse]

    def peak(self, system: str) -> float:
        """The most bytes held at once while `system` answers."""
        return self.weights + self.reserved + self.systems[system].total

    def fits(self, system: str) -> bool:
        return self.capacity is None or self.peak(system) <= self.capacity


@dataclass(frozen=True)
class DeviceMap:
    """The loads in the map's order: GPUs, then the CPU and the disk if anything is left to them."""

    loads: tuple[DeviceLoad, ...]

    @property
    def said(self) -> tuple[str, ...]:
        """What does not fit, device by device; nothing where all does."""
        lines = []
        for load in self.loads:
            if load.capacity is None or load.device in ("cpu", "disk"):
                continue
            short = [f"{load.peak(name) / 1e9:,.2f} GB for {name}" for name in load.systems if not load.fits(name)]
            if short:
                lines.append(
                    f"{load.device} does not fit: it has {load.capacity / 1e9:,.2f} GB and needs {', '.join(short)}"
                )
        for load in self.loads:
            if load.device in ("cpu", "disk") and load.weights:
                name = {"cpu": "the CPU", "disk": "a disk (offload_folder)"}[load.device]
                lines.append(
                    f"does not fit on the GPUs: {load.holds} ({load.weights / 1e9:,.2f} GB) spill to {name}, and are copied to a "
                    "GPU in every pass"
                )
        return tuple(lines)

    def as_json(self) -> dict[str, Any]:
        """Plain numbers, bytes rounded to whole ones."""
        return {
            "said": list(self.said),
            "loads": [
                {
                    "device": load.device,
                    "capacity": None if load.capacity is None else round(load.capacity),
                    "holds": load.holds,
                    "weights": round(load.weights),
                    "reserved": round(load.reserved),
                    "systems": {
                        name: {part: round(value) for part, value in asdict(use).items()}
                        | {"peak": round(load.peak(name)), "fits": load.fits(name)}
                        for name, use in load.systems.items()
                    },
                }
                for load in self.loads
            ],
        }


def device_map_of(
    config: Any, devices: Devices, memories: Mapping[str, PeakMemory], workload: Workload, dtype: torch.dtype
) -> DeviceMap:
    """The map of `config` in `dtype` over `devices`, with the use of each system from its peak memory."""
    model: Any = meta_model(config).to(dtype)
    placed = automatic_map(model, devices)
    sizes: dict[str, dict[str, int]] = {}
    layers: dict[str, set[int]] = {}
    layer_sizes: dict[int, int] = {}
    for name, parameter in model.named_parameters():
        device, bytes_ = _placed(name, placed), parameter.numel() * dtype.itemsize
        part, layer = part_of(name), _layer(name)
        sizes.setdefault(device, {}).setdefault(part, 0)
        sizes[device][part] += bytes_
        if layer is not None:
            layers.setdefault(device, set()).add(layer)
            layer_sizes[layer] = layer_sizes.get(layer, 0) + bytes_
    gpus = [f"cuda:{number}" for number in range(devices.gpus)]
    elsewhere = sorted(set(layers.get("cpu", ())) | set(layers.get("disk", ())))
    main = next(device for device in (*gpus, "cpu", "disk") if "embeddings" in sizes.get(device, {}))
    main = gpus[0] if main in ("cpu", "disk") else main
    copies = sum(layer_sizes[layer] for layer in range(workload.shadow_layers))
    loads = []
    for device in [*gpus, *(device for device in ("cpu", "disk") if device in sizes)]:
        own = layers.get(device, set()) | (set(elsewhere) if device == gpus[0] else set())
        if device in ("cpu", "disk"):
            own = set()
        uses = {
            name: _use(
                memory,
                share=len(own) / len(layer_sizes),
                main=device == main,
                sees="vision" in sizes.get(device, {}) and device in gpus,
                copies=copies if name != "dense" and device == main else 0,
            )
            for name, memory in memories.items()
        }
        reserved = max((layer_sizes[layer] for layer in elsewhere), default=0) if device == gpus[0] else 0
        held = _holds(sizes.get(device, {}), layers.get(device, set()))
        weights = sum(sizes.get(device, {}).values())
        loads.append(DeviceLoad(device, _capacity(device, devices), held, weights, reserved, uses))
    return DeviceMap(tuple(loads))


def automatic_map(model: Any, devices: Devices) -> dict[str, str]:
    """Module (or parameter) names to devices, as loading with `device_map="auto"` on machines with these devices makes them."""
    from transformers.integrations.accelerate import get_balanced_memory, infer_auto_device_map

    each = int(devices.gpu_memory * GIB * (USABLE if devices.gpus == 1 else 1))
    cpu = UNLIMITED if devices.cpu_memory is None else int(devices.cpu_memory * GIB)
    memory: dict[int | str, int | str] = {**dict.fromkeys(range(devices.gpus), each), "cpu": cpu}
    whole: set[str] = set(model._no_split_modules or ())
    with _not_warned():
        memory = get_balanced_memory(model, max_memory=memory, no_split_module_classes=whole)
        found = infer_auto_device_map(model, max_memory=memory, no_split_module_classes=whole)
    return {name: f"cuda:{place}" if isinstance(place, int) else str(place) for name, place in found.items()}


def _use(memory: PeakMemory, *, share: float, main: bool, sees: bool, copies: float) -> DeviceUse:
    """Vision, routing and prefill follow each other; all but the prefill's layers are where the embeddings or the tower are."""
    cache = share * memory.cache
    prefill = memory.prefill - memory.cache if main else memory.layer if share else 0.0
    earlier = max(memory.vision if sees else 0.0, memory.route if main else 0.0)
    return DeviceUse(copies, cache, max(prefill, earlier - cache))  # no cache yet while those run


def _placed(name: str, placed: Mapping[str, str]) -> str:
    """The device of the longest entry that `name` lies under."""
    while name not in placed:
        name = name.rpartition(".")[0]
        if not name:
            return placed[""]
    return placed[name]


def _layer(name: str) -> int | None:
    """The decoder layer, counted from 0, that the parameter `name` belongs to."""
    _, found, rest = name.partition("language_model.layers.")
    return int(rest.partition(".")[0]) if found else None


def _holds(sizes: Mapping[str, int], layers: set[int]) -> str:
    """What a device holds, in words: "vision, projector, embeddings, layers 0-13"."""
    words = [part for part in ("vision", "projector", "embeddings") if part in sizes]
    if layers:
        words.append(f"layers {min(layers)}-{max(layers)}" if len(layers) > 1 else f"layer {min(layers)}")
    elif "layers" in sizes:
        words.append("final norm")
    return ", ".join([*words, *(["head"] if "head" in sizes else [])]) or "nothing"


def _capacity(device: str, devices: Devices) -> float | None:
    if device == "disk" or (device == "cpu" and devices.cpu_memory is None):
        return None
    return GIB * (devices.cpu_memory or 0.0) if device == "cpu" else GIB * devices.gpu_memory


@contextmanager
def _not_warned() -> Iterator[None]:
    """Without the warnings that the GPUs asked about are not in this machine, and that they would spill."""
    loggers = [
        logging.getLogger(name) for name in ("accelerate.utils.modeling", "transformers.integrations.accelerate")
    ]
    before = [logger.disabled for logger in loggers]
    for logger in loggers:
        logger.disabled = True
    try:
        yield
    finally:
        for logger, disabled in zip(loggers, before, strict=True):
            logger.disabled = disabled
