"""Frames by decord: another ffmpeg than PyAV's, asked where that one gives up."""

from pathlib import Path

import numpy as np

from videorouter.video.decoder import Choose, sampled
from videorouter.video.frames import SampledFrames
from videorouter.video.resize import resize_frames


class Decord:
    """Turns pictures by itself. Believes headers, and gives other frames than asked for of damaged files: so it comes last."""

    name = "decord"

    def read(self, path: Path, choose: Choose, size: int | None) -> SampledFrames:
        import decord

        decord.logging.set_level(decord.logging.FATAL)
        reader = decord.VideoReader(str(path), num_threads=1)
        if not len(reader):
            raise ValueError("it counts no frames")
        stamps = reader.get_frame_timestamp(range(len(reader)))
        starts, end = stamps[:, 0] - stamps[0, 0], float(stamps[-1, 1] - stamps[0, 0])
        if not np.all(np.diff(starts) > 0):
            raise ValueError("its timestamps do not increase: the header may count frames that do not decode")
        indices = choose(starts.tolist())
        frames = reader.get_batch(indices).asnumpy()
        if size is not None:
            frames = resize_frames(frames, size)
        return sampled(self.name, frames, indices, starts.tolist(), end, len(reader))
