"""Starts jobs at one moment: `python -m tests.data_builders.jobs_at_once JSON`, a list of command lines of `data_builders`.

Each is a process of its own, made ready before any begins. Prints their exit codes as JSON.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Sequence

import openai  # noqa: F401 - imported once, before the processes are made

from videorouter.data_builders.__main__ import main, parser

BEGIN = 0.5
"""Seconds after the last process was made."""


def at_one_moment(works: Sequence[Callable[[], int | None]]) -> list[int]:
    """Do each in a forked process, all beginning together; their exit codes (0 for None), 99 where one raised."""
    begin = time.monotonic() + BEGIN
    children = []
    for work in works:
        child = os.fork()
        if child == 0:
            code = 99
            try:
                time.sleep(max(0.0, begin - time.monotonic()))
                code = work() or 0
            finally:
                sys.stdout.flush()
                os._exit(code)
        children.append(child)
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


def start(commands: Sequence[list[str]]) -> list[int]:
    """The exit codes of command lines of `data_builders`."""
    parser()  # what is imported on the way is imported once
    return at_one_moment([lambda command=command: main(command) for command in commands])  # type: ignore[misc]


if __name__ == "__main__":
    print(json.dumps(start(json.loads(sys.argv[1]))))
