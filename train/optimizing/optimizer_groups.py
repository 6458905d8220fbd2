"""Which trained tensors share a rate and a weight decay, and a saved optimizer state put into such groups (ours).

Checkpoints name what each of their groups holds. One that was saved with other groups, as before 0.2 where norms and biases decayed
like all else, resumes in those of now, with the rates and decay that each tensor had.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from videorouter.train.checkpoints.checkpoint_io import TRAINABLES


@dataclass(frozen=True)
class Group:
    """Peak rate, weight decay, and the names of the tensors."""

    rate: float
    decay: float
    names: tuple[str, ...]


def options_of_groups(
    saved: Sequence[dict[str, Any]], sizes: Sequence[int], names: Sequence[str], groups: Sequence[Group]
) -> list[dict[str, Any]]:
    """For each of `groups` the options of the saved group that held its first tensor: a training decays to its end as it began.

    `saved` are the options of each saved group, `sizes` how many of `names` each held. Raises `ValueError` for a tensor that none
    held.
    """
    return [saved[number] for number in _saved_groups(sizes, names, groups)]


def _saved_groups(sizes: Sequence[int], names: Sequence[str], groups: Sequence[Group]) -> list[int]:
    """For each of `groups` the number of the saved group that held its first tensor."""
    holders = [number for number, size in enumerate(sizes) for _ in range(size)]
    held_in = dict(zip(names, holders, strict=True))
    missing = [name for group in groups for name in group.names if name not in held_in]
    if missing:
        raise ValueError(
            f"the checkpoint has no optimizer state of {len(missing)} tensors that are trained now, the first {missing[0]}: resume "
            "with the settings that it was started with"
        )
    return [held_in[group.names[0]] for group in groups]


def regroup_schedules(checkpoint: dict[str, Any], groups: Sequence[Group]) -> None:
    """Put the rate schedules of a loaded checkpoint into `groups`, in place. Raises `ValueError` as `options_of_groups`."""
    held = _saved_groups(checkpoint["group_sizes"], checkpoint[TRAINABLES], groups)
    for schedule in checkpoint.get("lr_schedulers", ()):
        for key in ("base_lrs", "_last_lr", "lr_lambdas"):
            schedule[key] = [schedule[key][number] for number in held]


def regroup_optimizer(checkpoint: dict[str, Any], groups: Sequence[Group]) -> None:
    """Put the optimizer state of a loaded checkpoint into `groups`, in place. Raises `ValueError` as `options_of_groups`."""
    (optimizer,) = checkpoint["optimizer_states"]
    names: list[str] = checkpoint[TRAINABLES]
    number_of = {name: number for number, name in enumerate(names)}
    options = options_of_groups(optimizer["param_groups"], checkpoint["group_sizes"], names, groups)
    ordered = [name for group in groups for name in group.names]
    state = {
        number: optimizer["state"][number_of[name]]
        for number, name in enumerate(ordered)
        if number_of[name] in optimizer["state"]
    }
    numbers, first = [], 0
    for group in groups:
        numbers.append(list(range(first, first + len(group.names))))
        first += len(group.names)
    optimizer["param_groups"] = [one | {"params": held} for one, held in zip(options, numbers, strict=True)]
    optimizer["state"] = state
