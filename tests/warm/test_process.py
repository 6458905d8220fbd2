"""A forked program is seen and treated as one that was started: its words, exit code, signals, folder, environment and end."""

import os
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from tests.warm.process import WarmPython

TELL = "import os, sys; print(sys.argv[1:], os.getcwd(), os.environ['A'], __name__); print('wrong', file=sys.stderr); sys.exit(3)"
WAIT = "import time; print('waits', flush=True); time.sleep(60)"


@pytest.fixture(scope="module")
def warm() -> WarmPython:
    return WarmPython(["json.tool"], {})


def test_it_has_its_own_words_arguments_folder_and_environment(warm: WarmPython, tmp_path: Path) -> None:
    with (tmp_path / "said").open("w") as said:
        process = warm.start(["-c", TELL, "one", "two"], tmp_path, os.environ | {"A": "b"}, said)
    assert process.stdout is not None
    assert process.stdout.read() == f"['one', 'two'] {tmp_path} b __main__\n"
    assert (process.wait(20), process.poll()) == (3, 3)
    assert (tmp_path / "said").read_text() == "wrong\n"


def test_modules_and_scripts_are_run_and_errors_told(warm: WarmPython, tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("import sys; print(sys.argv[1], 'json.tool' in sys.modules); 1 / 0")
    for arguments in (["-m", "own", "x"], ["-u", "-m", "own", "x"], [str(tmp_path / "own.py"), "x"]):
        done = subprocess.run([warm.python, *arguments], cwd=tmp_path, capture_output=True, text=True)
        assert (done.returncode, done.stdout) == (1, "x True\n")
        assert done.stderr.splitlines()[-1] == "ZeroDivisionError: division by zero"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_signal_ends_it_and_is_told(warm: WarmPython, tmp_path: Path, number: int) -> None:
    with (tmp_path / "said").open("w") as said:
        process = warm.start(["-c", WAIT], tmp_path, os.environ, said, session=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "waits\n"
    assert os.getsid(process.pid) == process.pid
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.1)
    process.send_signal(number)
    assert process.wait(20) == -number
    assert not psutil.pid_exists(process.pid)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_what_stands_in_for_python_passes_a_signal_on_and_is_not_outlived(warm: WarmPython, number: int) -> None:
    code = f"import os; print(os.getpid(), flush=True); {WAIT}"
    asked = subprocess.Popen([warm.python, "-c", code], stdout=subprocess.PIPE, text=True)
    assert asked.stdout is not None
    program = int(asked.stdout.readline())
    asked.send_signal(number)
    assert asked.wait(20) == (128 + number if number == signal.SIGTERM else -number)
    until = time.monotonic() + 20
    while psutil.pid_exists(program):
        assert time.monotonic() < until
        time.sleep(0.01)
    asked.stdout.close()


def test_programs_of_a_program_run_in_the_same_way(warm: WarmPython, tmp_path: Path) -> None:
    code = "import subprocess, sys; sys.exit(subprocess.run([sys.executable, '-c', sys.argv[1]]).returncode)"
    asked = [str(warm.python), "-c", code, "import sys; sys.exit(5 if 'json.tool' in sys.modules else 6)"]
    assert subprocess.run(asked, cwd=tmp_path).returncode == 5
