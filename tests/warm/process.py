"""Python programs in processes of their own that begin with their imports done: seconds less each than a new interpreter takes.

For tests whose promise is what a program does. What is read while Python starts or imports (`OMP_NUM_THREADS`, `HF_HUB_OFFLINE`,
`PYTHONWARNINGS`) is the same for all programs of one `WarmPython`.
"""

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import mkdtemp
from typing import IO, Any

ROOT = Path(__file__).parents[2]


class WarmProcess:
    """A forked program, as `subprocess.Popen` shows those that it starts; it is killed with whoever started it."""

    def __init__(self, connection: socket.socket, args: Sequence[str], stdout: IO[str] | None = None) -> None:
        self.args, self.stdout = args, stdout
        self.returncode: int | None = None
        self._connection = connection
        self.pid = int(self._line(None))

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code. Raises `subprocess.TimeoutExpired` where it has not ended after `timeout` seconds."""
        if self.returncode is None:
            self.returncode = int(self._line(timeout))
            self._connection.close()
        return self.returncode

    def poll(self) -> int | None:
        """Its exit code, or `None` while it runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Unless it has ended."""
        with contextlib.suppress(ProcessLookupError):
            if self.poll() is None:
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)

    def _line(self, timeout: float | None) -> bytes:
        until = None if timeout is None else time.monotonic() + timeout
        line = b""
        while not line.endswith(b"\n"):
            left = None if until is None else max(0.0, until - time.monotonic())
            if not select.select([self._connection], [], [], left)[0]:
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            read = self._connection.recv(1)
            assert read, "the parent of the forked programs is gone"
            line += read
        return line


def forked(
    parent: str,
    arguments: Sequence[str],
    folder: str | Path,
    environment: Mapping[str, str],
    files: Sequence[int],
    executable: str | Path,
    session: bool = False,
    stdout: IO[str] | None = None,
) -> WarmProcess:
    """An interpreter's arguments, run by a process forked from the `parent` at a socket, with its three standard `files`."""
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(parent)
    asked: dict[str, Any] = {"arguments": list(arguments), "folder": str(folder), "environment": dict(environment)}
    asked |= {"executable": str(executable), "session": session}
    message = json.dumps(asked).encode() + b"\n"
    sent = socket.send_fds(connection, [message], files)
    connection.sendall(message[sent:])
    return WarmProcess(connection, arguments, stdout)


class WarmPython:
    """The process that has imported `modules`, with `environment` beside this process's own; it ends with this process."""

    def __init__(self, modules: Sequence[str], environment: Mapping[str, str]) -> None:
        folder = Path(mkdtemp(prefix="warm-"))
        self.parent = str(folder / "socket")
        self.python = folder / "python"
        """A program that is called as Python is, and runs what it is asked in a process forked from this one."""
        code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from tests.warm.process import stand_in; "
        code += f"sys.exit(stand_in({self.parent!r}, {str(self.python)!r}, sys.argv[1:]))"
        self.python.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S -c "{code}" "$@"\n')
        self.python.chmod(0o755)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.warm.parent", self.parent, *modules],
            cwd=ROOT, env=os.environ | environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def start(
        self,
        arguments: Sequence[str],
        folder: Path,
        environment: Mapping[str, str],
        stderr: IO[Any],
        stdout: IO[Any] | None = None,
        session: bool = False,
        executable: str | Path = sys.executable,
    ) -> WarmProcess:
        """A program that writes to open files; without one for its standard output, that can be read as `Popen.stdout`.

        It leads a `session` of its own where that is asked, and runs others by `executable` where it runs Python.
        """
        with open(os.devnull) as nothing, contextlib.ExitStack() as stack:
            reader = None
            if stdout is None:
                read, written = os.pipe()
                reader, stdout = os.fdopen(read), stack.enter_context(os.fdopen(written, "w"))
            files = (nothing.fileno(), stdout.fileno(), stderr.fileno())
            return forked(self.parent, arguments, folder, environment, files, executable, session, reader)


def stand_in(parent: str, executable: str, arguments: Sequence[str]) -> int:
    """Run a program in place of this process, which is the `executable` that it was asked of: the exit code."""
    passed_on = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
    signal.pthread_sigmask(signal.SIG_BLOCK, passed_on)  # until there is whom to pass them on to
    process = forked(parent, arguments, os.getcwd(), os.environ, (0, 1, 2), executable)
    for number in passed_on:
        signal.signal(number, lambda number, _: process.send_signal(number))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, passed_on)
    code = process.wait()
    return code if code >= 0 else 128 - code
