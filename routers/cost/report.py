"""The cost of a checkpoint or router folder as the command line asks for it and prints it: no weight is read."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from transformers import AutoConfig

from videorouter.json_files import read_object
from videorouter.routers.backbones.layout import chat_prompt
from videorouter.routers.backbones.loading import check_place, loading_from
from videorouter.routers.backbones.tokenizer import load_tokenizer
from videorouter.routers.checkpoints.router_folder import read_config
from videorouter.routers.cost.estimate import Estimate, estimate
from videorouter.routers.cost.geometry import Workload
from videorouter.routers.systems.query import Query, question_text
from videorouter.routers.systems.spec import parse_spec

SYSTEMS = ("dense", "videorouter")


def model_cost(model: str, *, base: str | None = None, dtype: str | None = None, **changes: Any) -> Estimate:
    """Cost of a base checkpoint (folder or Hub id), or of a router folder with its own frames, budget, scales and base.

    `changes` are fields of `Workload`; those that are None keep their value. `base` overrides where a router's base lies.
    Raises `ValueError` for a family without formulas and unworkable options, `OSError` where there is no such checkpoint.
    """
    workload, revision = Workload(), None
    if is_router(model):
        router = read_config(Path(model))
        workload = Workload(router.frames, router.budget, router.scales, shadow_layers=router.shadow_layers)
        workload = replace(workload, router_pool=router.routing.router_scale)
        model, revision = (base, None) if base else (router.base.path, router.base.revision)
    workload = replace(workload, **{name: value for name, value in changes.items() if value is not None})
    check_place(model)
    with loading_from(model):
        config = AutoConfig.from_pretrained(model, revision=revision, trust_remote_code=False)
    return estimate(config, workload, None if dtype is None else getattr(torch, dtype))


def answer_cost(
    model: str,
    question: str,
    options: Sequence[str] | None = None,
    *,
    system: str = "videorouter",
    base: str | None = None,
    **changes: Any,
) -> Estimate:
    """`model_cost` for one question, its tokens counted by the base's tokenizer. Raises `ValueError` for other systems."""
    written = parse_spec(system)
    if written.name not in SYSTEMS or "screen_side" in written.options:
        raise ValueError(f"the cost of {system!r} has no formula: there are {', '.join(SYSTEMS)}")
    if "router_scale" in written.options:
        changes["router_pool"] = written.options["router_scale"]
    path, revision = base or model, None
    if base is None and is_router(model):
        named = read_config(Path(model)).base
        path, revision = named.path, named.revision
    query = Query(question, tuple(options) if options else None)
    return model_cost(model, base=base, **(text_tokens(path, query, revision) | changes))


def text_tokens(path: str, query: Query, revision: str | None = None) -> dict[str, int]:
    """The token counts of a `Workload` that depend on words, by the tokenizer of the checkpoint `path` (at `revision`)."""
    check_place(path)
    with loading_from(path):
        tokenizer = load_tokenizer(path, AutoConfig.from_pretrained(path, revision=revision), revision=revision)

    def count(text: str) -> int:
        return len(tokenizer(text, add_special_tokens=False).input_ids)

    return {
        "question_tokens": count(query.question),
        "text_tokens": count(chat_prompt(tokenizer, question_text(query))),
        "label_tokens": count("Frame-12: <img></img>\n"),
    }


def is_router(model: str) -> bool:
    """Whether `model` is a folder that `videorouter routers export` wrote."""
    path = Path(model) / "config.json"
    return path.is_file() and "format_version" in read_object(path)


def show_estimate(estimate: Estimate, console: Console | None = None) -> None:
    """Print parameters and bytes by part, FLOPs by stage for both systems, and peak memory."""
    console = console or Console(markup=False, highlight=False)
    console.print(_parts(estimate))
    console.print(_stages(estimate))
    work = estimate.workload
    scales = work.scales
    console.print(
        f"{work.frames} frames, budget {work.budget}, scales ({scales.global_scale}; {scales.relevant_scale}, "
        f"{scales.irrelevant_scale}), {work.fragment:.1%} of questions fragment, {work.relevant * work.frames:.1f} frames "
        "relevant. FLOPs as FlopCounterMode counts them; causal: what fused attention computes."
    )


def _parts(estimate: Estimate) -> Table:
    table = _table("part", "parameters", f"bytes ({estimate.dtype})")
    for part, count in estimate.parameters.items():
        table.add_row(part, f"{count / 1e6:,.1f} M", _size(estimate.bytes[part]))
    table.add_row("all", f"{sum(estimate.parameters.values()) / 1e6:,.1f} M", _size(sum(estimate.bytes.values())))
    return table


def _stages(estimate: Estimate) -> Table:
    table = _table("stage", "dense", "videorouter", "of dense", "of dense, causal")
    dense, routed = estimate.systems["dense"], estimate.systems["videorouter"]
    names = {"vision": "vision", "router": "routers", "prefill": "prefill", "first_token": "to first token"}
    for stage, name in (names | {"decode": "each token more"}).items():
        flops = [getattr(system.flops["square"], stage) for system in (dense, routed)]
        ratios = [_ratio(estimate, stage, "square"), _ratio(estimate, stage, "causal")]
        table.add_row(name, *(_flops(value) for value in flops), *ratios)
    visual = [system.flops["square"].visual for system in (dense, routed)]
    table.add_row("visual tokens", *(f"{value:,.0f}" for value in visual), f"{visual[1] / visual[0]:.3f}", "")
    memory = [system.memory.total for system in (dense, routed)]
    table.add_row("peak memory", *(_size(value) for value in memory), f"{memory[1] / memory[0]:.3f}", "")
    return table


def _ratio(estimate: Estimate, stage: str, attention: str) -> str:
    """The routers have no dense counterpart: theirs is of everything until the dense model's first token."""
    value = estimate.router_share(attention) if stage == "router" else estimate.of_dense(stage, attention)  # type: ignore[arg-type]
    return f"{value:.3f}"


def _table(*names: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    for place, name in enumerate(names):
        table.add_column(name, justify="right" if place else "left", no_wrap=True)
    return table


def _flops(count: float) -> str:
    return f"{count / 1e12:,.2f} TFLOPs" if count >= 1e11 else f"{count / 1e9:,.2f} GFLOPs"


def _size(count: float) -> str:
    return f"{count / 1e9:,.2f} GB" if count >= 1e9 else f"{count / 1e6:,.2f} MB"
