"""A Python process that imports modules once, and forks for each program that it is asked to run: started by `WarmPython`.

`python -m tests.warm.parent SOCKET MODULE...` says `ready`; it ends with its standard input, and removes the socket's folder. A
request at the socket is a line of JSON with three open files; what comes back are the program's process id and, once it ended, its
exit code, each a line. The program is killed when who asked hangs up.
"""

import contextlib
import gc
import importlib
import json
import multiprocessing.spawn
import os
import runpy
import select
import shutil
import signal
import socket
import sys
import tempfile
import threading
import types
from typing import Any


def main(path: str, modules: list[str]) -> None:
    """Fork until standard input ends; in a forked process, run its program to the end."""
    for name in modules:
        importlib.import_module(name)
    assert threading.active_count() == 1, "a fork has none of the other threads, and all of their locks"
    gc.collect()
    gc.freeze()  # what all share stays shared
    multiprocessing.spawn.set_executable(
        sys.executable
    )  # whatever a program's own is: what it spawns is handed open files
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen(64)
        print("ready", flush=True)
        while listening in select.select([listening, sys.stdin], [], [])[0]:
            connection, _ = listening.accept()
            with connection:
                request, files = _received(connection)
                if os.fork() == 0:
                    listening.close()
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    program = os.fork()
                    if program == 0:
                        connection.close()
                        _run(request, files)
                        return
                    _close(files)
                    _watch(connection, program)
            _close(files)
    shutil.rmtree(os.path.dirname(path))


def _received(connection: socket.socket) -> tuple[dict[str, Any], list[int]]:
    message, files, _, _ = socket.recv_fds(connection, 65_536, 3)
    while not message.endswith(b"\n"):
        message += connection.recv(65_536)
    return json.loads(message), files


def _close(files: list[int]) -> None:
    for file in files:
        os.close(file)


def _watch(connection: socket.socket, program: int) -> None:
    """Tell who asked of the program's start and end, and do nothing else."""
    connection.sendall(b"%d\n" % program)
    ended = os.pidfd_open(program)
    if ended not in select.select([connection.fileno(), ended], [], [])[0]:
        os.kill(program, signal.SIGKILL)
    _, status = os.waitpid(program, 0)
    with contextlib.suppress(OSError):
        connection.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
    os._exit(0)


def _run(request: dict[str, Any], files: list[int]) -> None:
    """As a new interpreter would: `[-u] -m MODULE ...`, `-c CODE ...` or `SCRIPT ...`."""
    for number, file in enumerate(files):
        os.dup2(file, number)
    _close(files)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    if request["session"]:
        os.setsid()
    sys.executable, tempfile.tempdir = request["executable"], None
    given = request["arguments"]
    match given[1:] if given[0] == "-u" else given:
        case ["-m", module, *rest]:
            sys.path[0], sys.argv = os.getcwd(), [module, *rest]
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        case ["-c", code, *rest]:
            sys.path[0], sys.argv = "", ["-c", *rest]
            sys.modules["__main__"] = types.ModuleType("__main__")
            exec(compile(code, "<string>", "exec"), vars(sys.modules["__main__"]))
        case [script, *rest]:
            sys.path[0], sys.argv = os.path.dirname(script), [script, *rest]
            runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
