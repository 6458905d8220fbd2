"""A builder of one's own: a command under `videorouter data_builders`."""

from pathlib import Path

from videorouter.data_builders.sources.conversion import read_questions


def main(arguments: list[str]) -> int:
    """Print how many questions a file holds: `count_questions FILE`. Raises `ValueError`, which is printed as one line."""
    if len(arguments) != 1:
        raise ValueError("count_questions takes one file")
    questions, rejects = read_questions(Path(arguments[0]), "tab_separated")
    print(f"{len(questions)} questions, {len(rejects)} in quarantine")
    return 0
