"""A checkpoint taken up by any number of ranks: Lightning's counts written anew from where the loader stands (ours).

Lightning counts the microbatches of one rank, and differently according to the moment a checkpoint was taken; how many make an
epoch depends on how many ranks share it. The loader's position is a fact about the data alone, so all else follows from it.
Checkpoints are taken between optimizer steps. A validation that a kill interrupted is not made up for; the next one is made.
"""

from typing import Any

from videorouter.shards.loader import EpochLoader


def check_step(saved: int, now: int) -> None:
    """Raise `ValueError` where a step takes other than the `saved` number of batches, over all ranks."""
    if saved != now:
        raise ValueError(
            f"the checkpoint was trained with {saved} batches an optimizer step, this run takes {now}: set "
            f"--data.init_args.batches_a_step {saved}, which any number of ranks that divides it can share"
        )


def restore_position(fit_loop: dict[str, Any], loader: EpochLoader[Any], limit: int | float) -> dict[str, Any]:
    """Make a saved fit loop go on where the saved loader stood, in place; the state the loader then has to be given.

    `loader` is a fresh one of this run, `limit` Lightning's `limit_train_batches`.
    """
    (state,) = fit_loop["state_dict"].pop("combined_loader")
    loader.load_state_dict(state)
    whole = min(len(loader), limit) if isinstance(limit, int) else int(len(loader) * limit)
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


def _counts(*, ready: int, processed: int, completed: int) -> dict[str, int]:
    return {"ready": ready, "started": ready, "processed": processed, "completed": completed}
