"""The cost of a checkpoint or router folder as the command line asks for it and prints it: no weight is read."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from videorouter.json_files import read_object
from videorouter.routers.backbones.layout import Dialogue, chat_prompt, tokenised
from videorouter.routers.backbones.loading import asked_shape
from videorouter.routers.backbones.loading_options import HubSource, Loading, PromptOptions, hub_source
from videorouter.routers.backbones.tokenizer import load_tokenizer
from videorouter.routers.checkpoints.router_folder import read_config
from videorouter.routers.cost.devices import DeviceMap, Devices
from videorouter.routers.cost.estimate import Estimate, estimate
from videorouter.routers.cost.head import read_checkpoint
from videorouter.routers.cost.shown_frames import shown_frames
from videorouter.routers.cost.workload import Workload
from videorouter.routers.systems.query import Query, question_text
from videorouter.routers.systems.spec import parse_spec

SYSTEMS = ("dense", "videorouter")


def model_cost(
    model: str,
    *,
    base: str | None = None,
    dtype: str | None = None,
    video: tuple[int, int] | Path | None = None,
    devices: Devices | None = None,
    loading: Loading | None = None,
    **changes: Any,
) -> Estimate:
    """Cost of a base checkpoint (folder or Hub id), or of a router folder with its own frames, budget, scales and base.

    `changes` are fields of `Workload`; those that are None keep their value. `base` overrides where a router's base lies, `video`
    is as in `shown_frames`, and of `loading` is read what says how frames are shown, else as the router's were, and what the Hub
    is asked for; the rest is as in `estimate`. Whether the head is the model's own is asked of the checkpoint's tensors
    (`videorouter.routers.cost.head`). Raises `ValueError` for a family without formulas and unworkable options, and where there
    is no such checkpoint.
    """
    workload, shape = Workload(), None
    if is_router(model):
        router = read_config(Path(model))
        shape = router.shape
        workload = Workload(router.frames, router.budget, router.scales, shadow_layers=router.shadow_layers)
        routing = router.routing
        workload = replace(workload, router_pool=routing.router_scale, screen_side=routing.screen_side)
    workload = replace(workload, **{name: value for name, value in changes.items() if value is not None})
    path, asked = _base_of(model, base, loading)
    read = read_checkpoint(path, **asked)
    shape = asked_shape(path, read.config.model_type, shape, **(loading or {}))
    shown = shown_frames(path, read.config, shape, workload.frames, video, asked)
    weights = None if dtype is None else getattr(torch, dtype)
    cost = estimate(read.config, workload, weights, size=shown.size, devices=devices)
    said = (shown.said, read.said, _quantised(read.config))
    return replace(cost, video_size=shown.video, said=(*cost.said, *(line for line in said if line)))


def _base_of(model: str, base: str | None, loading: Loading | None) -> tuple[str, HubSource]:
    """Where the base of a router, or `model` itself, lies, and at which revision: the one asked for, or the router's."""
    asked = hub_source(loading or {})
    if base is not None or not is_router(model):
        return base or model, asked
    named = read_config(Path(model)).base
    return named.path, asked if named.revision is None else {"revision": named.revision, **asked}


def _quantised(config: Any) -> str | None:
    written = getattr(config, "quantization_config", None)
    if not written:
        return None
    method = written.get("quant_method") if isinstance(written, dict) else getattr(written, "quant_method", None)
    return f"weights: config.json says they are quantised ({method}); they are counted as if they were not"


def answer_cost(
    model: str,
    question: str,
    options: Sequence[str] | None = None,
    *,
    system: str = "videorouter",
    base: str | None = None,
    video: Path | None = None,
    loading: Loading | None = None,
    **changes: Any,
) -> Estimate:
    """`model_cost` for one question about `video`, its tokens counted by the base's tokenizer as the base would be asked.

    Raises `ValueError` for other systems.
    """
    written = parse_spec(system)
    if written.name not in SYSTEMS:
        raise ValueError(f"the cost of {system!r} has no formula: there are {', '.join(SYSTEMS)}")
    for option, field in (("router_scale", "router_pool"), ("screen_side", "screen_side")):
        if option in written.options:
            changes[field] = written.options[option]
    path, asked = _base_of(model, base, loading)
    query = Query(question, tuple(options) if options else None)
    prompt = (read_config(Path(model)).prompt if is_router(model) else PromptOptions()).changed(loading or {})
    counted = text_tokens(path, query, asked, prompt)
    return model_cost(model, base=base, video=video, loading=loading, **(counted | changes))


def text_tokens(
    path: str, query: Query, source: HubSource | None = None, prompt: PromptOptions | None = None
) -> dict[str, int]:
    """The token counts of a `Workload` that depend on words, by the tokenizer of the checkpoint `path`, asked as `prompt` says."""
    prompt = prompt or PromptOptions()
    config = read_checkpoint(path, **(source or {})).config
    tokenizer = load_tokenizer(path, config, **(source or {}))

    def count(text: str) -> int:
        return len(tokenizer(text, add_special_tokens=False).input_ids)

    label = LABELS.get(config.model_type)
    if label is not None and prompt.frame_label is not None:
        label = label.replace("Frame-1", prompt.frame_label)
    return {
        "question_tokens": count(query.question),
        "text_tokens": len(
            tokenised(tokenizer, chat_prompt(tokenizer, question_text(query), Dialogue(prompt.system_prompt))).input_ids
        ),
        **({} if label is None else {"label_tokens": count(label)}),
    }


LABELS = {"internvl": "Frame-12: <img></img>\n", "qwen3_vl": "<12.5 seconds><|vision_start|><|vision_end|>"}
"""What stands around a frame in the families that write something there."""


def is_router(model: str) -> bool:
    """Whether `model` is a folder that `videorouter routers export` wrote."""
    path = Path(model) / "config.json"
    return path.is_file() and "format_version" in read_object(path)


def show_estimate(estimate: Estimate, console: Console | None = None) -> None:
    """Print what must be known first, parameters and bytes by part, FLOPs by stage for both systems, peak memory, and devices."""
    console = console or Console(markup=False, highlight=False)
    for line in estimate.said:
        console.print(line)
    if estimate.said:
        console.print()
    console.print(_parts(estimate))
    console.print()
    console.print(_stages(estimate))
    if estimate.devices is not None:
        console.print('\nby device under device_map="auto", in GB')
        for name in estimate.systems:
            console.print(_devices(estimate.devices, name))
        for line in estimate.devices.said:
            console.print(line)
    console.print()
    work = estimate.workload
    scales = work.scales
    screened = "" if work.screen_side is None else f"frames screened at {work.screen_side} pixels, "
    merged = "" if estimate.frames_per_patch == 1 else f" in patches of {estimate.frames_per_patch}"
    of_video = "" if estimate.video_size is None else f" of a video of {_sides(estimate.video_size)}"
    console.print(
        f"{work.frames} frames{of_video}{merged}, at {_sides(estimate.size)} pixels (height x width), "
        f"{_sides(estimate.grid)} tokens each, budget {work.budget}, scales ({scales.global_scale}; {scales.relevant_scale}, "
        f"{scales.irrelevant_scale}), {work.fragment:.1%} of questions fragment, {work.relevant * work.frames:.1f} frames "
        f"relevant, {screened}{work.text_tokens} tokens of text. FLOPs as FlopCounterMode counts them; causal: what fused "
        "attention computes."
    )


def _parts(estimate: Estimate) -> Table:
    table = _table("part", "parameters", f"bytes ({estimate.dtype})")
    for part, count in estimate.parameters.items():
        table.add_row(part, f"{count / 1e6:,.1f} M", _size(estimate.bytes[part]))
    table.add_row("all", f"{sum(estimate.parameters.values()) / 1e6:,.1f} M", _size(sum(estimate.bytes.values())))
    return table


def _stages(estimate: Estimate) -> Table:
    table = _table("stage", "dense", "videorouter", "of dense", "causal")
    dense, routed = estimate.systems["dense"], estimate.systems["videorouter"]
    names = {"vision": "vision", "router": "routers", "prefill": "prefill", "first_token": "to first token"}
    for stage, name in (names | {"decode": "each token more"}).items():
        flops = [getattr(system.flops["square"], stage) for system in (dense, routed)]
        ratios = [_ratio(estimate, stage, "square"), _ratio(estimate, stage, "causal")]
        table.add_row(name, *(_flops(value) for value in flops), *ratios)
    for name, field in (("visual tokens", "visual"), ("prompt tokens", "prompt")):
        tokens = [getattr(system.flops["square"], field) for system in (dense, routed)]
        table.add_row(name, *(f"{value:,.0f}" for value in tokens), f"{tokens[1] / tokens[0]:.3f}", "")
    if dense.positions != round(dense.flops["square"].prompt):
        table.add_row("positions", f"{dense.positions:,}", f"{routed.positions:,}", "", "")
    rows = {"KV cache": "cache", "KV, windows only": "windowed_cache", "peak memory": "total"}
    for name, field in rows.items():
        held = [getattr(system.memory, field) for system in (dense, routed)]
        if field != "windowed_cache" or held[0] < dense.memory.cache:
            table.add_row(name, *(_size(value) for value in held), f"{held[1] / held[0]:.3f}", "")
    return table


def _devices(devices: DeviceMap, system: str) -> Table:
    """Of each device, in GB, while `system` answers: weights, cache, the largest work beside it, the peak; `!` is too much."""
    table = _table(system, "memory", "weights", "KV cache", "work", "peak", "", "holds")
    table.columns[-1].justify, table.columns[-1].no_wrap = "left", False
    for load in devices.loads:
        use, peak = load.systems[system], load.peak(system)
        parts = [load.capacity, load.weights, use.cache, use.work + use.copies + load.reserved, peak]
        cells = ("" if part is None else f"{part / 1e9:,.2f}" for part in parts)
        table.add_row(load.device, *cells, "" if load.fits(system) else "!", load.holds)
    return table


def _ratio(estimate: Estimate, stage: str, attention: str) -> str:
    """The routers have no dense counterpart: theirs is of everything until the dense model's first token."""
    value = estimate.router_share(attention) if stage == "router" else estimate.of_dense(stage, attention)  # type: ignore[arg-type]
    return f"{value:.3f}"


def _sides(height_and_width: tuple[int, int]) -> str:
    return "{}x{}".format(*height_and_width)


def _table(*names: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    for place, name in enumerate(names):
        table.add_column(name, justify="right" if place else "left", no_wrap=True)
    return table


def _flops(count: float) -> str:
    return f"{count / 1e12:,.2f} TFLOPs" if count >= 1e11 else f"{count / 1e9:,.2f} GFLOPs"


def _size(count: float) -> str:
    return f"{count / 1e9:,.2f} GB" if count >= 1e9 else f"{count / 1e6:,.2f} MB"
