"""Videos whose pictures say which frame they are."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from videorouter.video.frames import SampledFrames

STEP = 4
"""Brightness from one frame to the next."""


def write_counting_video(
    path: Path,
    count: int = 60,
    fps: int = 10,
    side: int = 64,
    codec: str = "libx264",
    gop: int = 250,
    milliseconds: Sequence[int] | None = None,
    **muxing: str,
) -> Path:
    """Frame i is gray of brightness 4 i, modulo 256, under a faint grain; it is shown at `milliseconds[i]` where given."""
    import av

    grain = np.random.default_rng(0).integers(-1, 2, (side, side, 1))
    with av.open(str(path), mode="w", options=muxing) as container:
        stream: Any = container.add_stream(codec, rate=fps, options={"crf": "1"} if codec.startswith("libx26") else {})
        stream.width = stream.height = side
        stream.pix_fmt = "yuv420p"
        stream.bit_rate = 4_000_000
        stream.codec_context.gop_size = gop
        stream.codec_context.time_base = Fraction(1, 1000) if milliseconds else Fraction(1, fps)
        for index in range(count):
            picture = np.broadcast_to(np.clip(STEP * index % 256 + grain, 0, 255), (side, side, 3)).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            frame.pts, frame.time_base = milliseconds[index] if milliseconds else index, stream.codec_context.time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def shown(sampled: SampledFrames) -> list[int]:
    """The numbers that the pictures say."""
    return [round(float(frame.mean()) / STEP) for frame in sampled.frames]
