"""An estimate as a person reads it in a terminal."""

from rich.console import Console
from rich.table import Table

from videorouter.routers.cost.estimate import Estimate


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
