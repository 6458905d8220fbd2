"""`python -m shards {verify,stats} DIR`."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

from jsonargparse import auto_cli


def verify(folder: Path) -> int:
    """Check hashes, keys, schema and labels; print every problem; exit code 1 if there is one.

    Args:
        folder: folder of shards
    """
    from shards.verify import problems

    found = list(problems(folder))
    for problem in found:
        print(problem, file=sys.stderr)
    print(f"{folder}: {len(found)} problems" if found else f"{folder}: sound")
    return 1 if found else 0


def stats(folder: Path, as_json: bool = False) -> int:
    """Print counts, label shares, policies and sizes by split.

    Args:
        folder: folder of shards
        as_json: print JSON instead of a table
    """
    from rich.console import Console
    from rich.table import Table

    from shards.stats import statistics

    rows = [asdict(row) for row in statistics(folder)]
    if as_json:
        print(json.dumps(rows, indent=2))
        return 0
    table = Table(*(name.replace("_", " ") for name in (rows[0] if rows else {"no shards": 0})))
    for row in rows:
        table.add_row(*(f"{value:.3f}" if isinstance(value, float) else str(value) for value in row.values()))
    Console().print(table)
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Run a subcommand; user errors end as one line on standard error and exit code 1."""
    try:
        return auto_cli({"verify": verify, "stats": stats}, args=arguments)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
