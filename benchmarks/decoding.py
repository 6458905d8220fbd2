"""Seconds to take frames out of a video: ours against bare decord and bare PyAV. `python benchmarks/decoding.py`, minutes.

All give whole RGB frames of the same indices. The four take turns, so that a slower minute of the machine is everybody's; what
counts is the ratio of medians to the fastest of the bare ones. Ends with exit code 1 where that is above 1.1.
"""

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from jsonargparse import auto_cli
from rich.console import Console
from rich.progress import track
from rich.table import Table

from videorouter.video.decode import sample_frames
from videorouter.video.sampling import segment_midpoint

ALLOWED = 1.1
"""Ours may take this many times the fastest of the others."""
HOPELESS = 3
"""A reader that took this many times the fastest in the warming turn takes no further one; that turn is its figure."""
FPS = 24


def made(folder: Path, seconds: int) -> Path:
    """A video of 640 x 360 pixels, H.264 with a keyframe every 250 frames: moving shapes under grain. Kept for the next run."""
    import av
    from av.video.frame import PictureType

    path = folder / f"{seconds}s-{FPS}fps-360p.mp4"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".unfinished.mp4")
        source = f"testsrc2=size=640x360:rate={FPS}:duration={seconds},noise=alls=6:allf=t"
        with av.open(source, format="lavfi") as shapes, av.open(str(unfinished), mode="w") as container:
            stream = container.add_stream("libx264", rate=FPS, options={"preset": "veryfast"})
            stream.codec_context.gop_size = 250
            stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
            for frame in track(shapes.decode(video=0), path.name, seconds * FPS, transient=True):
                picture = frame.reformat(format="yuv420p")
                picture.pict_type = PictureType.NONE  # raw frames all say I, and would all become keyframes
                container.mux(stream.encode(picture))
            container.mux(stream.encode())
        unfinished.replace(path)
    return path


def ours(path: Path, count: int) -> np.ndarray:
    return sample_frames(path, count).frames


def bare_decord(path: Path, count: int) -> np.ndarray:
    import decord

    reader = decord.VideoReader(str(path))
    return reader.get_batch(segment_midpoint(len(reader), count)).asnumpy()


def bare_pyav_seeking(path: Path, count: int) -> np.ndarray:
    import av

    taken = []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        assert stream.time_base is not None
        for index in segment_midpoint(stream.frames, count):
            stamp = round(index / FPS / stream.time_base)
            container.seek(stamp, stream=stream)
            frame = next(frame for frame in container.decode(stream) if frame.pts is not None and frame.pts >= stamp)
            taken.append(frame.to_ndarray(format="rgb24"))
    return np.stack(taken)


def bare_pyav_straight(path: Path, count: int) -> np.ndarray:
    import av

    taken = {}
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        indices = segment_midpoint(stream.frames, count)
        wanted = set(indices)
        for index, frame in enumerate(container.decode(stream)):
            if index in wanted:
                taken[index] = frame.to_ndarray(format="rgb24")
    return np.stack([taken[index] for index in indices])


READERS: dict[str, Callable[[Path, int], np.ndarray]] = {
    "ours": ours,
    "decord": bare_decord,
    "PyAV seeking": bare_pyav_seeking,
    "PyAV straight": bare_pyav_straight,
}


def measured(path: Path, count: int, runs: int) -> dict[str, float]:
    """Median seconds of each reader, a warming turn left out; all must give the same pictures."""
    warming: dict[str, float] = {}
    expected = None
    for name in READERS:
        warming[name], frames = _timed(name, path, count)
        expected = frames if expected is None else expected
        assert np.array_equal(frames, expected), f"{name} gives other pictures"
    names = [name for name, taken in warming.items() if taken < HOPELESS * min(warming.values()) or name == "ours"]
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for turn in track(range(runs), f"{count} frames of {path.name}", transient=True):
        first = turn % len(names)
        for name in (*names[first:], *names[:first]):  # nobody is always first
            seconds[name].append(_timed(name, path, count)[0])
    return warming | {name: statistics.median(values) for name, values in seconds.items()}


def _timed(name: str, path: Path, count: int) -> tuple[float, np.ndarray]:
    started = time.perf_counter()
    frames = READERS[name](path, count)
    return time.perf_counter() - started, frames


def main(runs: int = 5, folder: Path | None = None, out: Path | None = None) -> None:
    """Measure and print.

    Args:
        runs: times each reader takes the frames, interleaved
        folder: where the videos are kept; a temporary folder of always the same name by default
        out: JSON file to write the figures to
    """
    folder = folder or Path(tempfile.gettempdir()) / "videorouter-benchmark"
    results: list[dict[str, Any]] = []
    table = Table(
        "video", "frames", *READERS, "ours / fastest other", title=f"seconds, medians of {runs} interleaved runs"
    )
    for length in (10, 600):
        path = made(folder, length)
        for count in (64, 512):
            medians = measured(path, count, runs)
            ratio = medians["ours"] / min(value for name, value in medians.items() if name != "ours")
            results.append({"seconds": length, "frames": count, "medians": medians, "ratio": ratio})
            times = (f"{medians[name]:.2f}" for name in READERS)
            table.add_row(f"{length} s", str(count), *times, f"{ratio:.3f}")
    Console(markup=False).print(table)
    if out:
        out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    if any(result["ratio"] > ALLOWED for result in results):
        sys.exit(1)


if __name__ == "__main__":
    auto_cli(main)
