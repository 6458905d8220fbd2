"""Small pictures of a video, evenly over what was sampled of it."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL import Image

from videorouter.eval.run_folder import Watched
from videorouter.video.decode import frames_at
from videorouter.video.errors import MissingVideo, VideoError

COUNT: Final = 12
WIDTH: Final = 144
"""Pixels."""


@dataclass(frozen=True)
class Strip:
    """JPEG data URIs with the second each is shown at, or the reason why there are none."""

    seconds: list[float]
    pictures: list[str]
    reason: str = ""


def strip(watched: Watched, runs: Sequence[Path]) -> Strip:
    """The strip of a video, whose path is the one it had when it was run, or counts from the folder of a run."""
    given = [path for path in (Path(watched.path), *(run / watched.path for run in runs)) if path.is_file()]
    if not given or not watched.seconds:
        return Strip([], [], "video not here")
    count = min(COUNT, len(watched.seconds))
    seconds = [watched.seconds[int((number + 0.5) * len(watched.seconds) / count)] for number in range(count)]
    try:
        frames = frames_at(given[0], seconds).frames
    except MissingVideo:
        return Strip([], [], "video not here")
    except VideoError as error:
        return Strip([], [], f"video not readable: {error.reason}")
    return Strip([round(second, 2) for second in seconds], [_data_uri(Image.fromarray(frame)) for frame in frames])


def _data_uri(picture: Image.Image) -> str:
    picture.thumbnail((WIDTH, WIDTH))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=72, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
