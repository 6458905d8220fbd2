"""A training killed with all its ranks, and resumed by others, ends where an undisturbed one does."""

import json
from pathlib import Path

import pytest

from videorouter.miniature.pipeline.crash_train import crash_train
from videorouter.miniature.pipeline.stages import StageFailed


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_killed_training_asks_the_same_questions_and_ends_with_the_same_weights(
    base: Path, flr: Path, tmp_path: Path
) -> None:
    crash_train(tmp_path / "out", flr, base, kills=2, epochs=6, batch_size=2)
    found = json.loads((tmp_path / "out" / "crash-train.json").read_text())
    assert found["held"]
    assert found["kills"] == 2


def test_a_training_that_fails_by_itself_is_said_and_its_log_named(flr: Path, tmp_path: Path) -> None:
    with pytest.raises(StageFailed, match=r"the undisturbed training failed: see .*undisturbed\.log"):
        crash_train(tmp_path / "out", flr, tmp_path, kills=1)
