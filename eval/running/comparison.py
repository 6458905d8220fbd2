"""Systems at equal tokens: VideoRouter sets the mean, compared systems get budgets of that mean, none exceeds the cap (ours)."""

from collections.abc import Sequence
from itertools import pairwise

from rich.progress import Progress

from videorouter.eval.benchmarks.items import Item
from videorouter.eval.run_folder import Prediction
from videorouter.eval.running.controls import system_or_control
from videorouter.eval.running.runner import Runner
from videorouter.routers.routing.allocation import scaled_tokens
from videorouter.routers.systems.base import System
from videorouter.routers.systems.spec import ROUTED, parse_spec


def compare(
    runner: Runner,
    items: Sequence[Item],
    validation: Sequence[Item],
    systems: Sequence[str],
    cap: int,
    progress: Progress,
    encoder: str | None = None,
    mean_tokens: float | None = None,
) -> dict[str, list[Prediction]]:
    """Predictions by system: the router first, at the cap; then the others at its mean fed tokens.

    With `mean_tokens` the others are given these, and the router does not run unless it is among `systems`.
    """
    made: dict[str, list[Prediction]] = {}
    if mean_tokens is None or ROUTED in systems:
        routed = runner.router.system()
        made[ROUTED] = runner.run(items, [routed], {ROUTED: [cap] * len(items)}, progress, cap)
        if not made[ROUTED]:
            raise ValueError(
                f"{ROUTED} answered none of {len(items)} questions; the first failed so: {runner.failures[0].error}"
            )
    if mean_tokens is None:
        mean_tokens = sum(prediction.fed for prediction in made[ROUTED]) / len(made[ROUTED])
    per_frame = runner.router.backbone.tokens_per_frame
    others: list[System] = []
    for name in systems:
        if parse_spec(name) == parse_spec("uniform_pooling"):
            scale = _best_scale(runner, validation, mean_tokens, cap, progress)
            others.append(runner.router.system(name, scale=scale))
        elif name != ROUTED:
            others.append(system_or_control(runner.router, name, encoder=encoder, fill=True))
    equal = item_budgets(mean_tokens, len(items), per_frame, cap)
    budgets = {system.name: [cap] * len(items) if system.spends_cap else equal for system in others}
    for prediction in runner.run(items, others, budgets, progress, cap):
        made.setdefault(prediction.system, []).append(prediction)
    return made


def item_budgets(mean_tokens: float, items: int, step: int, cap: int) -> list[int]:
    """Budgets in multiples of `step` whose mean over the items is within `step / items` of `mean_tokens`.

    A system can spend only whole frames; giving every item the same rounded-down budget would cheat it of up to a frame
    an item. A pure function of its arguments: item i's budget depends on no other item's outcome.
    """
    reached = [int((i * mean_tokens) // step) * step for i in range(items + 1)]
    reached[-1] = round(items * mean_tokens / step) * step
    budgets = [later - earlier for earlier, later in pairwise(reached)]
    return [min(cap, budget) for budget in budgets]


def _best_scale(runner: Runner, validation: Sequence[Item], mean_tokens: float, cap: int, progress: Progress) -> int:
    """The pooling scale of highest validation accuracy among those that can spend `mean_tokens`; the coarser of equals."""
    backbone = runner.router.backbone
    frames = -(-runner.router.config.frames // backbone.frames_per_patch)
    per_frame = backbone.tokens_per_frame
    able = [scale for scale in (2, 4, 8) if frames * scaled_tokens(per_frame, scale) >= mean_tokens]
    if len(able) < 2:
        return able[0] if able else 1
    if not validation:
        return min(able)
    budgets = item_budgets(mean_tokens, len(validation), per_frame, cap)
    accuracy: dict[int, float] = {}
    for scale in able:
        system = runner.router.system("uniform_pooling", scale=scale)
        made = runner.run(validation, [system], {system.name: budgets}, progress, keep=False)
        if made:
            accuracy[scale] = sum(prediction.correct for prediction in made) / len(made)
    if not accuracy:  # no validation video could be read
        return min(able)
    return max(accuracy, key=lambda scale: (accuracy[scale], scale))
