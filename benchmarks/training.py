"""What Lightning costs: questions a second of `train fit` against the same steps in a loop written by hand.

Both encode the same microbatches of the demo's shards with the same module, optimizer and order; the loop does nothing else. They
take turns; ratios of one run are what counts. Needs the shards that `make demo` makes.
"""

import argparse
import statistics
import time
from types import SimpleNamespace
from typing import Any

import pytorch_lightning as pl
import torch

from videorouter.miniature.bases import ROBUST, ROBUST_ROUTER
from videorouter.train.data import AnswerData, FrameRelevanceData
from videorouter.train.logs.throughput import Throughput
from videorouter.train.modules import ImageRouterModule, JointModule


def main() -> None:
    """Time both stages and print questions a second and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", default="runs/demo/video-flr")
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    for stage in ("image_router", "joint"):
        rates: dict[str, list[float]] = {"lightning": [], "loop": []}
        for turn in range(options.rounds):
            for name in sorted(rates, reverse=bool(turn % 2)):
                run = by_lightning if name == "lightning" else by_hand
                rates[name].append(run(*parts(stage, options.shards), options.steps))
        ours, loop = (statistics.median(rates[name]) for name in ("lightning", "loop"))
        print(f"{stage}: {ours:.2f} questions a second, the loop {loop:.2f}: {ours / loop:.3f}", flush=True)


def parts(stage: str, shards: str) -> tuple[Any, Any]:
    """A module and its data, the same every time."""
    pl.seed_everything(0, verbose=False)
    if stage == "joint":
        return JointModule(str(ROBUST_ROUTER)), AnswerData(shards, batch_size=8, questions_per_item=4)
    return ImageRouterModule(str(ROBUST), moment_batches=1), FrameRelevanceData(
        shards, batch_size=8, questions_per_item=4
    )


def by_lightning(module: Any, data: Any, steps: int) -> float:
    """Questions a second of the trainer's own loop, the first step left out."""
    clock = Clock()
    trainer = pl.Trainer(
        accelerator="cpu", max_steps=steps + 1, limit_val_batches=0, gradient_clip_val=1.0, callbacks=[Throughput(), clock],
        enable_checkpointing=False, logger=False, enable_model_summary=False, enable_progress_bar=False,
    )  # fmt: skip
    trainer.fit(module, datamodule=data)
    return clock.questions / (time.perf_counter() - clock.started)


class Clock(pl.Callback):
    """Starts when the first step is over, and counts the questions of those after it."""

    started, questions = 0.0, 0

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if self.started:
            self.questions += batch.of_step.questions
        else:
            self.started = time.perf_counter()


def by_hand(module: Any, data: Any, steps: int) -> float:
    """Questions a second of zero_grad, losses, backward, clipping, step."""
    trained = list(module._trainables().values())
    data.trainer = SimpleNamespace(
        global_rank=0, world_size=1, accumulate_grad_batches=1, limit_train_batches=1.0, limit_val_batches=0
    )
    data.setup("fit")
    module.setup("fit")
    optimizer = torch.optim.AdamW(trained, lr=module.learning_rate, weight_decay=module.weight_decay)
    module.train()
    if hasattr(module, "_take_heads"):
        module._take_heads()
    started, questions = 0.0, 0
    batches = iter(data.train_dataloader())
    for step in range(steps + 1):
        batch = next(batches)
        optimizer.zero_grad()
        sum(weight * part for weight, part in module.losses(batch).values()).backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        if step:
            questions += batch.of_step.questions
        else:
            started = time.perf_counter()
    return questions / (time.perf_counter() - started)


if __name__ == "__main__":
    main()
