"""Systems at equal tokens: VideoRouter sets the mean, compared systems get budgets of that mean, none exceeds the cap (ours)."""

import math
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
    per_frame = runner.tokens_per_frame(items)
    others: list[System] = []
    for name in systems:
        if parse_spec(name) == parse_spec("uniform_pooling"):
            scale = _best_scale(runner, validation, per_frame, mean_tokens, cap, progress)
            others.append(runner.router.system(name, scale=scale))
        elif name != ROUTED:
            others.append(system_or_control(runner.router, name, encoder=encoder, fill=True))
    # A frame that is more than all the tokens there are is no unit to count in: such a question gets the tokens themselves.
    steps = [tokens if tokens <= mean_tokens else 1 for tokens in per_frame]
    equal = item_budgets(mean_tokens, len(items), steps, cap)
    budgets = {system.name: [cap] * len(items) if system.spends_cap else equal for system in others}
    for prediction in runner.run(items, others, budgets, progress, cap):
        made.setdefault(prediction.system, []).append(prediction)
    return made


def item_budgets(mean_tokens: float, items: int, step: int | Sequence[int], cap: int) -> list[int]:
    """Budgets in multiples of `step` whose mean over the items is within `step / items` of `mean_tokens`.

    A system can spend only whole frames; giving every item the same rounded-down budget would cheat it of up to a frame
    an item. Where frames have as many tokens as their video's shape gives them, `step` holds one number an item, and what one
    item's frames leave over goes to the next. No budget is above the whole frames that `cap` holds; the mean is then lower.
    A pure function of its arguments: item i's budget depends on no other item's outcome.
    """
    steps = [step] * items if isinstance(step, int) else list(step)
    assert len(steps) == items, f"{len(steps)} steps for {items} items"
    if len(set(steps)) > 1:
        uneven = _uneven_budgets(mean_tokens, steps)
        return [min(cap // one * one, budget) for one, budget in zip(steps, uneven, strict=True)]
    step = steps[0] if steps else 1
    reached = [int((i * mean_tokens) // step) * step for i in range(items + 1)]
    reached[-1] = round(items * mean_tokens / step) * step
    budgets = [later - earlier for earlier, later in pairwise(reached)]
    return [min(cap // step * step, budget) for budget in budgets]


def _uneven_budgets(mean_tokens: float, steps: Sequence[int]) -> list[int]:
    budgets: list[int] = []
    spent = 0
    for place, step in enumerate(steps, start=1):
        frames = (place * mean_tokens - spent) / step
        budgets.append((round(frames) if place == len(steps) else math.floor(frames)) * step)
        spent += budgets[-1]
    return budgets


def can_spend(scale: int, frames: int, per_frame: Sequence[int], mean_tokens: float) -> bool:
    """Whether `frames` frames pooled at `scale` are `mean_tokens` tokens, of items with so many tokens `per_frame`.

    Where their frames differ, nearly all (99.5 %) must be spent in the mean.
    """
    short = [max(0.0, mean_tokens - frames * scaled_tokens(tokens, min(scale, tokens))) for tokens in per_frame]
    return sum(short) <= (0.0 if len(set(per_frame)) == 1 else 0.005 * mean_tokens * len(short))


def _best_scale(
    runner: Runner,
    validation: Sequence[Item],
    per_frame: Sequence[int],
    mean_tokens: float,
    cap: int,
    progress: Progress,
) -> int:
    """The pooling scale of highest validation accuracy among those that can spend `mean_tokens`; the coarser of equals.

    `per_frame` are the tokens of a frame of each item compared: where they differ, nearly all must be spent in the mean.
    """
    backbone = runner.router.backbone
    frames = -(-runner.router.config.frames // backbone.frames_per_patch)
    able = [scale for scale in (2, 4, 8) if can_spend(scale, frames, per_frame, mean_tokens)]
    if len(able) < 2:
        return able[0] if able else 1
    if not validation:
        return min(able)
    budgets = item_budgets(mean_tokens, len(validation), runner.tokens_per_frame(validation), cap)
    accuracy: dict[int, float] = {}
    for scale in able:
        system = runner.router.system("uniform_pooling", scale=scale)
        made = runner.run(validation, [system], {system.name: budgets}, progress, keep=False)
        if made:
            accuracy[scale] = sum(prediction.correct for prediction in made) / len(made)
    if not accuracy:  # no validation video could be read
        return min(able)
    return max(accuracy, key=lambda scale: (accuracy[scale], scale))
