"""Starts jobs at one moment: `python -m tests.data_builders.jobs_at_once JSON`, a list of command lines of `data_builders`.

Each is a process of its own, made ready before any begins. Prints their exit codes as JSON.
"""

import json
import os
import sys
import time

import openai  # noqa: F401 - imported once, before the processes are made

from videorouter.data_builders.__main__ import main, parser

BEGIN = 0.5
"""Seconds after the last process was made."""


def start(commands: list[list[str]]) -> list[int]:
    """Exit codes, in order."""
    parser()  # what is imported on the way is imported once
    begin = time.monotonic() + BEGIN
    children = []
    for command in commands:
        child = os.fork()
        if child == 0:
            code = 99
            try:
                time.sleep(max(0.0, begin - time.monotonic()))
                code = main(command)
            finally:
                sys.stdout.flush()
                os._exit(code)
        children.append(child)
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


if __name__ == "__main__":
    print(json.dumps(start(json.loads(sys.argv[1]))))
