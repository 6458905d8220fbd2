"""Every answer on disk before it is used: one SQLite file a shard, fully synchronised, with a rollback journal.

A rollback journal, not a write-ahead log, because the latter needs shared memory that network file systems do not give. The
file is held exclusively: two builds never work on one shard.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from videorouter.data_builders.teacher.config import Usage
from videorouter.data_builders.teacher.endings import Ending

_TABLE = """CREATE TABLE IF NOT EXISTS answers (
    key TEXT PRIMARY KEY, model TEXT, raw TEXT, images INTEGER, tokens_in INTEGER, tokens_out INTEGER, estimated INTEGER,
    ending TEXT
)"""
_COLUMNS = "key, model, raw, images, tokens_in, tokens_out, estimated, ending"
_RETIRE = "UPDATE answers SET key = key || '#' || lower(hex(randomblob(8))) WHERE key = ?"


@dataclass(frozen=True)
class Answer:
    """A paid reply as it came, its cost, and how it ended."""

    model: str
    raw: str
    usage: Usage
    ending: Ending = Ending.COMPLETE


class AnswerNotKept(OSError):
    """An answer that was paid for could not be written: the disk, not the item, is at fault."""


class Journal:
    """The answers of one shard, by request key. Without a path they are kept in memory alone."""

    def __init__(self, path: Path | None = None, kept: Callable[["Journal"], None] = lambda journal: None) -> None:
        """`kept` is called, in a thread, after answers became durable.

        Raises `ValueError` where another process holds the journal, or where the file is not a journal.
        """
        self.path = path
        self._kept = kept
        self._waiting: list[tuple[str, Answer, asyncio.Future[None]]] = []
        self._writer: asyncio.Task[None] | None = None
        self._one_at_a_time = Lock()
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        self._answers: dict[str, Answer] = {}
        self._spent: dict[str, Usage] = {}
        self._connection = sqlite3.connect(path or ":memory:", timeout=1, isolation_level=None, check_same_thread=False)
        try:
            self._connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._connection.execute("PRAGMA journal_mode = DELETE")
            self._connection.execute("PRAGMA synchronous = EXTRA")
            self._connection.execute("BEGIN EXCLUSIVE")
            self._connection.execute(_TABLE)
            if "ending" not in {name for _, name, *_ in self._connection.execute("PRAGMA table_info(answers)")}:
                self._connection.execute("ALTER TABLE answers ADD COLUMN ending TEXT")  # journals of 0.1.0 have none
            self._connection.execute(
                "PRAGMA user_version = 1"
            )  # a write, so that what a kill left of a journal is removed
            self._connection.execute("COMMIT")
            self._remember(self._stored())
        except sqlite3.OperationalError as error:
            self._connection.close()
            raise ValueError(f"{path} is in use: another build works on this shard ({error})") from error
        except sqlite3.DatabaseError as error:
            self._connection.close()
            raise ValueError(
                f"{path} is not a journal of answers ({error}): move it away to ask the teacher again"
            ) from error

    @property
    def part(self) -> str:
        """What its answers are about: the file's name."""
        return self.path.stem if self.path else ""

    def find(self, key: str) -> Answer | None:
        """The answer kept for a request, if there is one."""
        return self._answers.get(key)

    async def keep(self, key: str, answer: Answer) -> None:
        """Return once the answer is durable. Answers that arrive together are written in one transaction.

        Raises `AnswerNotKept` where that is impossible.
        """
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((key, answer, done))
        if self._writer is None:
            self._writer = asyncio.create_task(self._write_waiting())
        await done

    def retire(self, keys: Iterable[str], raws: Iterable[str] = ()) -> None:
        """Keep the replies under `keys`, or that read like one of `raws`, as paid for alone: what they answer is asked again.

        Raises `AnswerNotKept`.
        """
        wanted = set(raws)
        found = {key for key in keys if key in self._answers}
        found |= {key for key, answer in self._answers.items() if wanted and answer.raw in wanted and "#" not in key}
        if not found:
            return
        try:
            self._execute(_RETIRE, [(key,) for key in found])
        except sqlite3.Error as error:
            raise self._not_kept(error) from error
        for key in found:
            del self._answers[key]

    def spent(self) -> dict[str, Usage]:
        """What all answers in it cost, by model."""
        return dict(self._spent)

    def close(self) -> None:
        """Close the file, so that another process may open it; what is being written is written first."""
        with self._one_at_a_time:
            self._connection.close()

    async def _write_waiting(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            try:
                await asyncio.to_thread(self._write, [(key, answer) for key, answer, _ in batch])
            except Exception as error:
                for _, _, done in batch:
                    if not done.done():
                        done.set_exception(self._not_kept(error))
            else:
                for _, _, done in batch:
                    if not done.done():
                        done.set_result(None)
        self._writer = None

    def _write(self, batch: Sequence[tuple[str, Answer]]) -> None:
        rows = [
            (key, a.model, a.raw, a.usage.images, a.usage.tokens_in, a.usage.tokens_out, a.usage.estimated, a.ending)
            for key, a in batch
        ]
        self._execute(f"INSERT OR REPLACE INTO answers ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
        self._remember(batch)
        self._kept(self)

    def _execute(self, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
        """All of it or nothing, from any thread."""
        with self._one_at_a_time:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                self._connection.executemany(statement, rows)
                self._connection.execute("COMMIT")
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")

    def _not_kept(self, error: Exception) -> AnswerNotKept:
        return AnswerNotKept(
            f"{self.path or 'the journal in memory'}: a paid answer could not be written ({error}): make room or change "
            "the permissions, then run the same command again"
        )

    def _remember(self, answers: Sequence[tuple[str, Answer]]) -> None:
        for key, answer in answers:
            self._answers[key] = answer
            self._spent[answer.model] = self._spent.get(answer.model, Usage()) + answer.usage

    def _stored(self) -> list[tuple[str, Answer]]:
        rows = self._connection.execute(f"SELECT {_COLUMNS} FROM answers")
        return [
            (key, Answer(model, raw, Usage(1, *counts), Ending(ending or Ending.COMPLETE)))
            for key, model, raw, *counts, ending in rows
        ]
