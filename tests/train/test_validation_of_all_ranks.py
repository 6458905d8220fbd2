"""What a validation finds does not depend on how many ranks shared it; every checkpoint carries it."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import distributed, multiprocessing

from tests.train.ranks import command, fit_on, free_port, stages
from tests.train.test_training import fit
from videorouter.routers.checkpoints.export import export
from videorouter.routers.checkpoints.router_folder import read_config
from videorouter.routers.checkpoints.trained_file import RECORD, read_record
from videorouter.routers.checkpoints.training_history import read_history
from videorouter.routers.routing.metrics import threshold_for_recall
from videorouter.shards.epoch_order import Item, share
from videorouter.train.__main__ import main
from videorouter.train.preemption import ToldToLeave
from videorouter.train.validation.validation_scores import ValidationScores

EVERY = ("--last.every_n_train_steps", "1", "--last.save_on_train_epoch_end", "false")
RANKS = 2


def scores_of(rank: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Unequally many, and of unlike height."""
    drawn = torch.Generator().manual_seed(rank)
    scores = 0.4 * rank + 0.5 * torch.rand(40 + 30 * rank, generator=drawn)
    return scores, torch.rand(len(scores), generator=drawn) < 0.3 + 0.5 * rank


def collected(rank: int, port: int, out: str) -> None:
    """In a rank's own process: what all of them have, and the threshold of it."""
    address = f"tcp://127.0.0.1:{port}"
    distributed.init_process_group("gloo", init_method=address, rank=rank, world_size=RANKS)
    metric = ValidationScores()
    metric.update(*scores_of(rank))
    found, labels = metric.compute()
    Path(out, f"{rank}.json").write_text(json.dumps([len(found), threshold_for_recall(found, labels, 0.9)]))
    distributed.destroy_process_group()


@pytest.mark.slow
def test_a_threshold_is_of_all_ranks_scores_together_and_no_mean_of_theirs(tmp_path: Path) -> None:
    """Two real processes over gloo."""
    parts = [scores_of(rank) for rank in range(RANKS)]
    scores, labels = (torch.cat(one) for one in zip(*parts, strict=True))
    pooled = threshold_for_recall(scores, labels, 0.9)
    own = [threshold_for_recall(*part, 0.9) for part in parts]
    multiprocessing.spawn(collected, (free_port(), str(tmp_path)), nprocs=RANKS)
    found = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(RANKS)]
    assert found == [[110, pytest.approx(pooled, abs=1e-7)]] * RANKS
    assert abs(pooled - sum(own) / RANKS) > 0.02


@pytest.mark.parametrize("ranks", [1, 2, 3, 4, 5])
def test_a_validation_leaves_out_no_batch_and_ranks_keep_step(ranks: int) -> None:
    batches = [(Item(number, (0,)),) for number in range(5)]
    shares = [share(batches, rank, ranks, whole_epoch=True) for rank in range(ranks)]
    assert {len(one.batches) for one in shares} == {-(-5 // ranks)}
    assert not any(one.remainder for one in shares)
    counted = [
        batch
        for rank, one in enumerate(shares)
        for step, batch in enumerate(one.batches)
        if rank + step * ranks < len(batches)
    ]
    assert sorted(batch[0].sample for batch in counted) == list(range(5))


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["ddp", "deepspeed_3"])
def test_one_rank_and_two_export_the_same_threshold_and_metrics(
    strategy: str, base: Path, router: Path, flr: Path, qtr: Path, tmp_path: Path
) -> None:
    """Three batches of validation data, which two ranks cannot share equally."""
    stage = stages(base, router, flr, qtr)["image_router"]
    three = ("--data.init_args.questions_per_item", "3", "--data.init_args.batch_size", "3")
    options = (*three, "--trainer.max_epochs", "1", "--trainer.limit_val_batches", "1.0",
               "--trainer.check_val_every_n_epoch", "1")  # fmt: skip
    semantic = fit("semantic_router", base, qtr, tmp_path / "semantic")
    assert main([*command(stage, tmp_path / "one"), *options]) == 0
    alone = tmp_path / "one" / "checkpoints" / "best.ckpt"
    fit_on(RANKS, stage, tmp_path / "two", *options, "--trainer.strategy", strategy)
    shared = tmp_path / "two" / "checkpoints" / "best.ckpt"
    records = [read_record(path)[RECORD] for path in (alone, shared)]
    assert records[1]["metrics"] == pytest.approx(records[0]["metrics"], abs=2e-4)
    assert "val/image_threshold" in records[0]["metrics"]
    configs = [read_config(export([path, semantic], tmp_path / f"router-{path.parts[-3]}")) for path in (alone, shared)]
    assert configs[1].threshold == pytest.approx(configs[0].threshold, abs=1e-4)
    assert configs[0].threshold == records[0]["metrics"]["val/image_threshold"]


def records_of(out: Path) -> dict[str, Any]:
    return {path.stem: read_record(path)[RECORD] for path in (out / "checkpoints").glob("*.ckpt")}


def test_threshold_and_metrics_travel_in_every_checkpoint_also_of_a_resumed_training(
    base: Path, flr: Path, qtr: Path, tmp_path: Path
) -> None:
    """A training that is resumed and saves before its next validation still knows what the last one found."""
    told = ("--trainer.callbacks+", "tests.train.leaving.ToldAfter", "--trainer.callbacks.steps")
    small = (
        "--data.init_args.questions_per_item", "2", "--data.init_args.batch_size", "2",
        "--data.init_args.batches_a_step", "4",
    )  # fmt: skip
    with pytest.raises(ToldToLeave):
        fit("image_router", base, flr, tmp_path / "out", *EVERY, *small, *told, "3")
    before = records_of(tmp_path / "out")["last"]
    validated, steps = before["validated_at"], before["step"]
    assert (before["threshold"], steps) == (before["metrics"]["val/image_threshold"], 3)
    assert validated == 2
    with pytest.raises(ToldToLeave):
        fit("image_router", base, flr, tmp_path / "out", *EVERY, *small, *told, "4", "--resume", "auto")
    after = records_of(tmp_path / "out")["last"]
    assert after["step"] == 4
    assert [after[name] for name in ("threshold", "metrics", "validated_at")] == [
        before[name] for name in ("threshold", "metrics", "validated_at")
    ]
    semantic = fit("semantic_router", base, qtr, tmp_path / "semantic")
    last = tmp_path / "out" / "checkpoints" / "last.ckpt"
    folder = export([last, semantic], tmp_path / "router")
    assert read_config(folder).threshold == before["threshold"]
    assert (read_history(folder)[0].step, read_history(folder)[0].validated_at) == (4, validated)
    assert f"Weights of step 4. Validated at step {validated}" in (folder / "README.md").read_text()


def test_a_checkpoint_from_before_any_validation_says_that_its_threshold_is_not_calibrated(
    base: Path, flr: Path, qtr: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    semantic = fit("semantic_router", base, qtr, tmp_path / "semantic")
    unvalidated = ("--trainer.limit_val_batches", "0", "--trainer.max_steps", "1")
    last = fit("image_router", base, flr, tmp_path / "image", *unvalidated).with_name("last.ckpt")
    folder = export([last, semantic], tmp_path / "router")
    assert read_config(folder).threshold == 0.5
    assert "uncalibrated" in caplog.text
    assert "the threshold was not calibrated" in (folder / "README.md").read_text()
