"""What a journal says was spent, read without taking it from a build that wants it."""

import sqlite3
from pathlib import Path

from videorouter.data_builders.teacher.config import Usage


def spent_in(path: Path) -> dict[str, Usage] | None:
    """What the answers of a journal that nobody holds cost, by model; None where it is held, or is no journal.

    What a kill left beside it is put in order first. Held for moments only, so that who wants the journal then gets it.
    """
    connection = sqlite3.connect(path, timeout=0, isolation_level=None)
    try:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("PRAGMA user_version = 1")
        connection.execute("COMMIT")
        rows = connection.execute(
            "SELECT model, COUNT(*), SUM(images), SUM(tokens_in), SUM(tokens_out), SUM(estimated) FROM answers GROUP BY model"
        ).fetchall()
    except sqlite3.DatabaseError:
        return None
    finally:
        connection.close()
    return {model: Usage(*counts) for model, *counts in rows}
