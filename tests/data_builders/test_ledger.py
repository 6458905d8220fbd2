"""The ledger's sums are right whoever writes it, and at whatever moment."""

import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from tests.data_builders.jobs_at_once import at_one_moment
from videorouter.data_builders.building.ledger import ANSWERS, LEDGER, Caps, Ledger, LedgerUnusable
from videorouter.data_builders.rejects import read_rejects
from videorouter.data_builders.teacher.config import Usage
from videorouter.data_builders.teacher.doubts import Doubts
from videorouter.data_builders.teacher.journal import Journal
from videorouter.data_builders.teacher.journal_spending import spent_in


def opened(out: Path) -> Ledger:
    return Ledger.open(out, None, Caps(), None)


def test_counts_are_right_whatever_order_threads_write_them_in(tmp_path: Path) -> None:
    ledger = opened(tmp_path)
    sums = [(part, videos, 2 * videos, videos // 10) for part in ("train-0", "train-1") for videos in range(1, 71)]
    random.Random(0).shuffle(sums)
    with ThreadPoolExecutor(16) as threads:
        list(threads.map(lambda counts: ledger.record_done(*counts), sums))
    totals = ledger.totals()
    assert (totals.videos, totals.questions, totals.failures) == (140, 280, 14)


def test_a_part_that_starts_over_counts_from_nothing(tmp_path: Path) -> None:
    ledger = opened(tmp_path)
    ledger.record_done("train-0", 8, 60, 4)
    ledger.forget_done(["train-0"])
    ledger.record_done("train-0", 1, 8, 0)
    assert ledger.totals().videos == 1
    assert ledger.totals().failures == 0


def test_a_sum_that_comes_late_takes_nothing_back(tmp_path: Path) -> None:
    ledger = opened(tmp_path)
    ledger.record_spent("train-0", {"m": Usage(9, 90, 900, 9)})
    ledger.record_spent("train-0", {"m": Usage(8, 80, 800, 8)})
    assert ledger.totals().usage.requests == 9
    assert ledger.spent_on(["train-0", "train-1"], "m").tokens_in == 900
    assert ledger.spent_on(["train-1"], "m") == ledger.spent_on(["train-0"], "n") == Usage()


def test_processes_may_open_a_new_ledger_at_one_moment(tmp_path: Path) -> None:
    for number in range(5):
        out = tmp_path / str(number)
        assert at_one_moment([lambda out=out: opened(out).record_done("part", 1, 2, 3)] * 8) == [0] * 8  # type: ignore[misc]
        assert opened(out).totals().questions == 2


def test_a_lost_ledger_is_made_again_but_for_journals_that_are_held(tmp_path: Path) -> None:
    for part, requests in (("train-0", 2), ("train-1", 3)):
        with closing(Journal(tmp_path / ANSWERS / f"{part}.sqlite")) as journal:
            journal._connection.executemany(
                "INSERT INTO answers VALUES (?, 'm', '{}', 1, 10, 1, 0, NULL)",
                [(str(number),) for number in range(requests)],
            )
    with closing(Journal(tmp_path / ANSWERS / "train-1.sqlite")):
        assert spent_in(tmp_path / ANSWERS / "train-1.sqlite") is None
        assert opened(tmp_path).totals().usage == Usage(2, 2, 20, 2)
    (tmp_path / LEDGER).unlink()
    assert opened(tmp_path).totals().usage == Usage(5, 5, 50, 5)
    with closing(Journal(tmp_path / ANSWERS / "train-1.sqlite")) as journal:
        assert journal.spent()["m"].requests == 3


def test_a_ledger_that_is_none_is_made_again_once_it_is_removed(tmp_path: Path) -> None:
    opened(tmp_path).record_spent("train-0", {"m": Usage(9, 90, 900, 9)})
    (tmp_path / LEDGER).write_text("no ledger")
    with pytest.raises(LedgerUnusable, match="remove it, it is made again"):
        opened(tmp_path)


def test_a_file_that_may_grow_no_more_is_told_by_name(tmp_path: Path) -> None:
    """In a process of its own, whose files are limited."""
    program = (
        "import resource, signal, sys; from pathlib import Path; from tests.data_builders.test_ledger import opened\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "opened(Path(sys.argv[1]))"
    )
    ended = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=False)
    assert f"{tmp_path / LEDGER}: the ledger cannot be read or written" in ended.stderr.splitlines()[-1]


def test_a_file_of_rejects_that_does_not_read_is_told_by_name(tmp_path: Path) -> None:
    for text in ("{", "[]", '{"item": "a"}'):
        (tmp_path / "train-0.jsonl").write_text(f"{text}\n")
        with pytest.raises(ValueError, match=r"train-0\.jsonl:1 is no row"):
            list(read_rejects(tmp_path / "train-0.jsonl"))


def test_a_note_of_doubts_that_does_not_read_is_told_by_name(tmp_path: Path) -> None:
    for text in ("", "{bad", "7"):
        (tmp_path / "train-0.json").write_text(text)
        with pytest.raises(ValueError, match=r"train-0\.json does not read"):
            list(Doubts(tmp_path).left(["train-0"]))
