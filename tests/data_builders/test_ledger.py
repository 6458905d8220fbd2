"""The ledger's sums are right whoever writes it, and at whatever moment."""

import random
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from tests.data_builders.jobs_at_once import at_one_moment
from videorouter.data_builders.building.ledger import ANSWERS, LEDGER, Caps, Ledger
from videorouter.data_builders.teacher.config import Usage
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
