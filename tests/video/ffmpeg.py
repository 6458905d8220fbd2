"""ffmpeg's own command, as an independent reader and a writer of odd files."""

import subprocess
from pathlib import Path

import numpy as np


def ffmpeg(*arguments: str | Path) -> bytes:
    """What the command writes to standard output; its own complaint where it fails."""
    from imageio_ffmpeg import get_ffmpeg_exe

    command = [get_ffmpeg_exe(), "-nostdin", "-v", "error", "-y", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def ffmpeg_frames(path: Path) -> np.ndarray:
    """All frames as ffmpeg shows them, uint8 RGB `[T, H, W, 3]`."""
    header, *_ = ffmpeg("-i", path, "-frames:v", "1", "-f", "image2pipe", "-c:v", "ppm", "-").split(b"\n255\n", 1)
    width, height = map(int, header.split()[1:3])
    data = ffmpeg("-i", path, "-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "rgb24", "-")
    return np.frombuffer(data, dtype=np.uint8).reshape(-1, height, width, 3)
