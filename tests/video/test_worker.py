"""Whatever a decoder does, it costs one video: bounded time, bounded memory, and no process is left behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from tests.video import faults
from tests.video.counting import shown, write_counting_video
from videorouter.video.decode import sample_frames
from videorouter.video.errors import CorruptVideo, MissingVideo, VideoError, VideoOutOfMemory, VideoTimeout
from videorouter.video.worker import DecodePool, DecodeWorker

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def counting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_counting_video(tmp_path_factory.mktemp("video") / "counting.mp4")


@pytest.fixture(scope="module")
def worker() -> Iterator[DecodeWorker]:
    worker = DecodeWorker(memory=0.6)
    yield worker
    worker.close()


@pytest.mark.parametrize(
    ("fault", "verdict", "said"),
    [
        (faults.sleep_forever, VideoTimeout, r"1\.5 s"),
        (faults.die, CorruptVideo, "died"),
        (faults.be_killed, VideoOutOfMemory, "outside"),
        (faults.take_memory, VideoOutOfMemory, "more than the 0.6"),
        (faults.run_out_of_memory, VideoOutOfMemory, "ran out"),
    ],
)
def test_a_decoder_that_hangs_dies_or_devours_costs_one_video_only(
    fault: Callable[..., object], verdict: type[VideoError], said: str, worker: DecodeWorker, counting: Path
) -> None:
    assert shown(worker.run(60, sample_frames, counting, 2)) == [14, 44]
    started = time.monotonic()
    with pytest.raises(verdict, match=said):
        worker.run(1.5 if fault is faults.sleep_forever else 60, fault, counting)
    assert time.monotonic() - started < 20
    assert shown(worker.run(60, sample_frames, counting, 2)) == [14, 44]


def test_only_what_stays_true_of_a_file_is_permanent() -> None:
    assert CorruptVideo.permanent
    assert not any(kind.permanent for kind in (MissingVideo, VideoTimeout, VideoOutOfMemory))


def test_verdicts_cross_the_pipe(worker: DecodeWorker) -> None:
    with pytest.raises(MissingVideo, match="gone"):
        worker.run(60, sample_frames, Path("gone.mp4"), 2)


def test_an_interrupted_question_is_not_answered_later(
    worker: DecodeWorker, counting: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(worker, "_watch", interrupt)
        with pytest.raises(KeyboardInterrupt):
            worker.run(60, sample_frames, counting, 5)
    assert len(worker.run(60, sample_frames, counting, 2).frames) == 2


def test_a_pool_decodes_side_by_side(counting: Path) -> None:
    pool = DecodePool(2)
    try:
        with ThreadPoolExecutor(4) as threads:
            answers = list(threads.map(lambda count: pool.run(60, sample_frames, counting, count), range(1, 9)))
    finally:
        pool.close()
    assert [len(answer.frames) for answer in answers] == list(range(1, 9))


@pytest.mark.parametrize(
    ("fault", "seconds"),
    [(faults.sleep_forever, 600), (faults.keep_the_lock_forever, 0.5)],
    ids=["busy", "busy without giving the interpreter's lock back"],
)
def test_a_worker_does_not_outlive_a_killed_parent(fault: Callable[..., object], seconds: float) -> None:
    program = (
        "import sys, threading, pathlib, time\n"
        "from tests.video import faults\n"
        "from videorouter.video.worker import DecodeWorker\n"
        "worker = DecodeWorker()\n"
        "process, _ = worker._start()\n"
        f"ask = lambda: worker.run({seconds}, faults.{fault.__name__}, pathlib.Path('x'))\n"
        f"worker._watch = lambda *_: (print(process.pid, flush=True), time.sleep(3600))\n"
        "ask()\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    worker = psutil.Process(int(parent.stdout.readline()))
    time.sleep(0.3)
    assert worker.is_running()
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    gone, _ = psutil.wait_procs([worker], timeout=20)
    assert gone or worker.status() == psutil.STATUS_ZOMBIE  # where nobody reaps orphans
