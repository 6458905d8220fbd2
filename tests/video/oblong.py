"""Videos that are no squares."""

from pathlib import Path
from typing import Any

import numpy as np


def write_oblong_video(path: Path, height: int, width: int, count: int = 12) -> Path:
    """Noise that changes from frame to frame, of even `height` and `width` in pixels."""
    import av

    noise = np.random.default_rng(0)
    with av.open(str(path), mode="w") as container:
        stream: Any = container.add_stream("libx264", rate=4)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for _ in range(count):
            picture = noise.integers(0, 256, (height, width, 3), dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path
