"""Lightning's checkpoints in our files: the same names by every strategy, nothing pickled, resumed by any number of ranks (ours).

Lightning counts the microbatches of one rank, and differently according to the moment a checkpoint was taken; how many make an
epoch depends on how many ranks share it. The loader's position is a fact about the data alone, so all else follows from it.
What was read for a step that was not finished is read again.
"""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch
from pytorch_lightning.plugins import CheckpointIO
from torch import Tensor

from videorouter.routers.checkpoints.tensor_file import Entry
from videorouter.routers.checkpoints.trained_file import OPTIMIZER, RNG, STATE, OnDisk, TrainedFile
from videorouter.routers.checkpoints.trained_writer import remove_trained, write_trained
from videorouter.shards.loader import EpochLoader


def check_step(saved: int, now: int) -> None:
    """Raise `ValueError` where a step takes other than the `saved` number of batches, over all ranks."""
    if saved != now:
        raise ValueError(
            f"the checkpoint was trained with {saved} batches an optimizer step, this run takes {now}: set "
            f"--data.init_args.batches_a_step {saved}, which any number of ranks that divides it can share"
        )


def restore_position(
    fit_loop: dict[str, Any], loader: EpochLoader[Any], limit: int | float, a_step: int = 1
) -> dict[str, Any]:
    """Make a saved fit loop go on where the saved loader stood, in place; the state the loader then has to be given.

    `loader` is a fresh one of this run, `limit` Lightning's `limit_train_batches`. `a_step` are the batches of a step over all
    ranks: a checkpoint may have been taken in the middle of one, when a time was over or a validation came.
    """
    (state,) = fit_loop["state_dict"].pop("combined_loader")
    state = state | {"consumed": state["consumed"] // a_step * a_step}
    loader.load_state_dict(state)
    whole = whole_batches(len(loader), limit)
    epoch, taken = state["epoch"], loader.steps
    if taken >= whole:
        epoch, taken = epoch + 1, 0
        state = state | {"epoch": epoch, "consumed": 0}
    finished = _counts(ready=epoch, processed=epoch, completed=epoch)
    begun = finished | {"ready": epoch + 1, "started": epoch + 1} if taken else finished
    fit_loop["epoch_progress"] = {"total": begun, "current": dict(begun)}
    # In the middle of an epoch as Lightning saves it after a step: the last microbatch is done and not yet counted as completed.
    uncounted = int(taken > 0)
    before = epoch * whole
    fit_loop["epoch_loop.batch_progress"] = {
        "total": _counts(ready=before + taken, processed=before + taken, completed=before + taken - uncounted),
        "current": _counts(ready=taken, processed=taken, completed=taken - uncounted),
        "is_last_batch": False,
    }
    steps = fit_loop["epoch_loop.automatic_optimization.optim_progress"]["optimizer"]["step"]["total"]["completed"]
    fit_loop["epoch_loop.state_dict"] = {"_batches_that_stepped": steps - uncounted}
    none = _counts(ready=0, processed=0, completed=0)
    fit_loop["epoch_loop.val_loop.batch_progress"] = {"total": none, "current": dict(none), "is_last_batch": False}
    return state


def whole_batches(there: int, limit: int | float) -> int:
    """Batches of one rank's epoch of which so many are there, under Lightning's `limit_train_batches`."""
    return min(there, limit) if isinstance(limit, int) else int(there * limit)


def _counts(*, ready: int, processed: int, completed: int) -> dict[str, int]:
    return {"ready": ready, "started": ready, "processed": processed, "completed": completed}


MOMENTS: Final = ("exp_avg", "exp_avg_sq")
"""What AdamW keeps of every trained tensor."""
TRAINABLES: Final = "trainables"
"""Key under which a module's checkpoint names what its optimizer steps, in the optimizer's order."""
_TENSOR: Final = "__tensor__"


class TrainedFileIO(CheckpointIO):
    """For all strategies whose optimizer is torch's own; `ZeroStrategy` writes and reads the same names itself."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write `checkpoint` as Lightning dumps it, with the names of its trainables."""
        names: list[str] = checkpoint[TRAINABLES]
        entries = {STATE + name: Entry.of(tensor) for name, tensor in checkpoint["state_dict"].items()}
        entries |= {RNG + name: Entry.of(tensor) for name, tensor in checkpoint.get("rng", {}).items()}
        (optimizer,) = checkpoint.get("optimizer_states") or [{"state": {}, "param_groups": []}]
        steps = 0
        for number, state in optimizer["state"].items():
            steps = int(state["step"])
            entries |= {f"{OPTIMIZER}{names[number]}/{key}": Entry.of(state[key]) for key in MOMENTS}
        groups = [
            {key: value for key, value in group.items() if key != "params"} for group in optimizer["param_groups"]
        ]
        write_trained(Path(path), entries, record_of(checkpoint, steps=steps, groups=groups))

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        """The dictionary that Lightning restores from; weights stay in the file until they are asked for.

        Raises `TrainedFileError`.
        """
        file = TrainedFile(Path(path))  # stays open as long as the weights are wanted
        checkpoint, moments = restored(file.record), OnDisk(file, OPTIMIZER)
        names, steps = checkpoint[TRAINABLES], checkpoint.pop("steps")
        state = {
            number: {"step": torch.tensor(float(steps))} | {key: moments[f"{name}/{key}"] for key in MOMENTS}
            for number, name in enumerate(names)
            if steps
        }
        number, groups = 0, []
        for group, size in zip(checkpoint.pop("groups"), checkpoint["group_sizes"], strict=True):
            groups.append(group | {"params": list(range(number, number + size))})
            number += size
        checkpoint["optimizer_states"] = [{"state": state, "param_groups": groups}]
        return checkpoint | {"state_dict": OnDisk(file, STATE), "rng": dict(OnDisk(file, RNG))}

    def remove_checkpoint(self, path: Any) -> None:
        """Delete one that is no longer wanted."""
        remove_trained(Path(path))


def record_of(checkpoint: Mapping[str, Any], *, steps: int, groups: list[dict[str, Any]]) -> dict[str, Any]:
    """Everything of a dumped checkpoint but its tensors, as JSON."""
    tensors = ("state_dict", "optimizer_states", "rng")
    rest = {key: value for key, value in checkpoint.items() if key not in tensors}
    return _plain(rest | {"steps": steps, "groups": groups})


def _plain(value: Any) -> Any:
    """JSON for what Lightning puts into checkpoints beside weights: counters, metrics, paths."""
    match value:
        case Tensor():
            return {_TENSOR: value.tolist()}
        case Mapping():
            return {str(key): _plain(one) for key, one in value.items()}
        case list() | tuple():
            return [_plain(one) for one in value]
        case Path():
            return str(value)
        case None | bool() | int() | float() | str():
            return value
    raise TypeError(f"{value!r} has no place in a checkpoint")


def restored(value: Any) -> Any:
    """What `record_of` made JSON of."""
    match value:
        case {"__tensor__": content}:
            return torch.tensor(content)
        case dict():
            return {key: restored(one) for key, one in value.items()}
        case list():
            return [restored(one) for one in value]
    return value


def check_writable(folder: Path) -> None:
    """Raise `OSError` where no file can be made in a folder, which is made where it is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(b"x")
