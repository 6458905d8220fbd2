"""What a run folder has spent and done: one small SQLite file that all of its workers write, and that admits every request.

The journals of answers are the truth; the ledger sums them, a row a part (shard) and model, so that totals survive resumes and
one cap holds for all workers, whatever the executor.
"""

import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from videorouter.data_builders.teacher.config import Price, Usage, read_prices
from videorouter.data_builders.teacher.doubts import Doubts
from videorouter.data_builders.teacher.errors import BudgetSpent
from videorouter.data_builders.teacher.journal import AnswerNotKept, Journal
from videorouter.data_builders.teacher.journal_spending import spent_in

LEDGER = "ledger.sqlite"
ANSWERS = "answers"
DOUBTS = "doubts"
_TABLES = (
    "CREATE TABLE IF NOT EXISTS spent (part TEXT, model TEXT, requests INTEGER, images INTEGER, tokens_in INTEGER, "
    "tokens_out INTEGER, estimated INTEGER, PRIMARY KEY (part, model))",
    "CREATE TABLE IF NOT EXISTS done (part TEXT PRIMARY KEY, videos INTEGER, questions INTEGER, failures INTEGER)",
)
_SPENT = """INSERT INTO spent VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (part, model) DO UPDATE
    SET requests = excluded.requests, images = excluded.images, tokens_in = excluded.tokens_in,
        tokens_out = excluded.tokens_out, estimated = excluded.estimated
    WHERE excluded.requests >= spent.requests"""
_DONE = """INSERT INTO done VALUES (?, ?, ?, ?) ON CONFLICT (part) DO UPDATE
    SET videos = excluded.videos, questions = excluded.questions, failures = excluded.failures
    WHERE excluded.videos >= done.videos"""
_BUSY = 600.0
"""Seconds that a turn at the file is waited for: each is short, but a hundred jobs may want one."""

_ONE_AT_A_TIME = Lock()
"""Threads of one process take turns: SQLite would let them sleep and try again, for up to a tenth of a second."""


class LedgerUnusable(AnswerNotKept):
    """The ledger can be read or written no more: the disk, not the item, is at fault."""


@dataclass
class Caps:
    """Where a run folder stops spending; totals count over all runs into it.

    Args:
        max_usd: dollars; needs --teacher.prices
        max_tokens: tokens in and out
    """

    max_usd: float | None = None
    max_tokens: int | None = None


@dataclass(frozen=True)
class Totals:
    """Sums over a run folder; `usd` is None where a model has no price."""

    usage: Usage
    usd: float | None
    videos: int = 0
    questions: int = 0
    failures: int = 0


@dataclass(frozen=True)
class Ledger:
    """The ledger of the run folder `out`; made by `Ledger.open`, picklable, a connection an operation."""

    out: Path
    prices: Mapping[str, Price] = field(default_factory=dict)
    caps: Caps = field(default_factory=Caps)
    model: str | None = None

    @classmethod
    def open(cls, out: Path, prices: Path | None, caps: Caps, model: str | None) -> "Ledger":
        """Open it, and put in order what a kill left behind; journals that another process holds are left to that.

        Raises `ValueError` for a broken price table, or a cap in dollars without a price of `model`; `LedgerUnusable`.
        """
        ledger = cls(out, read_prices(prices), caps, model)
        if caps.max_usd is not None and model is not None and model not in ledger.prices:
            raise ValueError(f"--max_usd needs the price of {model!r}: give --teacher.prices a table that names it")
        out.mkdir(parents=True, exist_ok=True)
        with ledger._writing() as connection:
            for table in _TABLES:  # one by one: a script would end the transaction first
                connection.execute(table)
            known = {part for (part,) in connection.execute("SELECT DISTINCT part FROM spent")}
        for path in sorted((out / ANSWERS).glob("*.sqlite")):
            # The ledger was lost, or a kill came between the two files, or before the journal was closed.
            if path.stem not in known or path.with_name(f"{path.name}-journal").exists():
                spent = spent_in(path)
                if spent is not None:
                    ledger.record_spent(path.stem, spent)
        return ledger

    def journal(self, part: str) -> Journal:
        """The journal of a part, whose spending is summed here from now on. Raises `ValueError` as `Journal`."""
        journal = Journal(
            self.out / ANSWERS / f"{part}.sqlite", lambda journal: self.record_spent(part, journal.spent())
        )
        self.record_spent(part, journal.spent())
        return journal

    @property
    def doubts(self) -> Doubts:
        """What is in doubt, of all parts."""
        return Doubts(self.out / DOUBTS)

    def record_spent(self, part: str, spent: Mapping[str, Usage]) -> None:
        """Set what a part has spent, by model; what is paid stays paid, so that a smaller sum comes too late."""
        rows = [
            (part, model, u.requests, u.images, u.tokens_in, u.tokens_out, u.estimated) for model, u in spent.items()
        ]
        with self._writing() as connection:
            connection.executemany(_SPENT, rows)

    def record_done(self, part: str, videos: int, questions: int, failures: int) -> None:
        """Set how far a part is; what is said of fewer videos than are known already comes too late, and counts for nothing."""
        with self._writing() as connection:
            connection.execute(_DONE, (part, videos, questions, failures))

    def forget_done(self, parts: Sequence[str]) -> None:
        """Parts start over; what they spent stays."""
        with self._writing() as connection:
            connection.executemany("DELETE FROM done WHERE part = ?", [(part,) for part in parts])

    def forget_all_done(self) -> None:
        """The folder starts over; what was spent stays."""
        with self._writing() as connection:
            connection.execute(_TABLES[1])
            connection.execute("DELETE FROM done")

    def spent_on(self, parts: Collection[str], model: str) -> Usage:
        """What the answers of one model for these parts cost."""
        wanted = set(parts)
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT part, requests, images, tokens_in, tokens_out, estimated FROM spent WHERE model = ?", (model,)
            ).fetchall()
        return sum((Usage(*counts) for part, *counts in rows if part in wanted), Usage())

    def totals(self) -> Totals:
        """Sums over all parts."""
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT model, SUM(requests), SUM(images), SUM(tokens_in), SUM(tokens_out), SUM(estimated) FROM spent "
                "GROUP BY model"
            ).fetchall()
            done = connection.execute("SELECT TOTAL(videos), TOTAL(questions), TOTAL(failures) FROM done").fetchone()
        by_model = {model: Usage(*counts) for model, *counts in rows}
        usd = None
        if all(model in self.prices for model in by_model):
            usd = sum(self.prices[model].usd(usage) for model, usage in by_model.items())
        return Totals(sum(by_model.values(), Usage()), usd, *map(int, done))

    def admit(self, unsettled: Usage) -> None:
        """Raises `BudgetSpent` once a cap is reached by what is in the ledger and what is `unsettled` beside it."""
        if self.caps.max_usd is None and self.caps.max_tokens is None:
            return
        totals = self.totals()
        usage = totals.usage + unsettled
        tokens = usage.tokens_in + usage.tokens_out
        if self.caps.max_tokens is not None and tokens >= self.caps.max_tokens:
            raise BudgetSpent(f"{tokens} tokens are spent in {self.out}, --max_tokens is {self.caps.max_tokens}")
        if self.caps.max_usd is not None and self.model is not None:
            usd = (totals.usd or 0.0) + self.prices[self.model].usd(unsettled)
            if usd >= self.caps.max_usd:
                raise BudgetSpent(f"{usd:.4f} dollars are spent in {self.out}, --max_usd is {self.caps.max_usd:g}")

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """Raises `LedgerUnusable`."""
        path = self.out / LEDGER
        try:
            with closing(sqlite3.connect(path, timeout=_BUSY, isolation_level=None)) as connection:
                connection.execute("PRAGMA synchronous = FULL")
                yield connection
        except sqlite3.OperationalError as error:
            raise LedgerUnusable(
                f"{path}: the ledger cannot be read or written ({error}): make room or change the permissions, then run the same "
                "command again"
            ) from error
        except sqlite3.DatabaseError as error:
            raise LedgerUnusable(
                f"{path} is no ledger ({error}): remove it, it is made again from the journals"
            ) from error

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with _ONE_AT_A_TIME, self._reading() as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")
