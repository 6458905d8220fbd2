"""The text baseline learns policies from words alone."""

import re
from pathlib import Path

import pytest

from videorouter.shards.reader import ShardDataset
from videorouter.train.__main__ import main
from videorouter.train.data.question_policy import questions_with_policy
from videorouter.train.validation.text_baseline import text_baseline


def test_what_words_tell_is_learned_from_them(qtr: Path) -> None:
    baseline = text_baseline(str(qtr), "train", "train")
    assert baseline.accuracy > 0.95
    assert baseline.questions == baseline.learned == len(questions_with_policy(ShardDataset(qtr, split="train")))


def test_shards_without_policies_are_refused(flr: Path) -> None:
    with pytest.raises(ValueError, match="no question with a policy label in split 'train'"):
        text_baseline(str(flr))


def test_the_command_prints_it(qtr: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["floor", str(qtr), "--test", "val"]) == 0
    assert re.fullmatch(r"1\.0000 of \d+ questions, after learning from \d+\n", capsys.readouterr().out)
