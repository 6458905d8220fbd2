"""JSON files that people hand to commands: what is wrong in one is said with its name."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

REMEDY = "write it again, or fetch it anew"


def read_json(path: Path, remedy: str = REMEDY) -> Any:
    """The content of a JSON file. Raises `ValueError`, which names file and `remedy`, for one that is damaged."""
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not JSON ({error}): {remedy}") from error


def read_object(path: Path, remedy: str = REMEDY) -> dict[str, Any]:
    """The object that a JSON file holds. Raises as `read_json` does, also for another value."""
    found = read_json(path, remedy)
    if not isinstance(found, dict):
        raise ValueError(f"{path} holds no JSON object, but {type(found).__name__}: {remedy}")
    return found


def read_json_lines(path: Path, remedy: str = REMEDY) -> Iterator[dict[str, Any]]:
    """The objects of a file of JSON lines. Raises as `read_object` does, with the line's number."""
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                found = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise ValueError(f"{path}:{number} is not JSON ({error}): {remedy}") from error
            if not isinstance(found, dict):
                raise ValueError(f"{path}:{number} holds no JSON object, but {type(found).__name__}: {remedy}")
            yield found
