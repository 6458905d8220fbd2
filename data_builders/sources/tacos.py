"""TACoS as moment retrieval work reads it (distributed with 2D-TAN): people's sentences about kitchen videos, timed in frames."""

from collections.abc import Iterator

from videorouter.data_builders.sources.moments import described_moments
from videorouter.data_builders.sources.rows import Converted, Row

LICENCE = "MIT (annotations as distributed with 2D-TAN; the terms of TACoS and MPII Cooking apply)"


def questions(row: Row) -> Iterator[Converted]:
    """The sentences of an entry `{VIDEO.avi: {"timestamps": [[first, end], ...], "sentences", "fps", "num_frames"}}`.

    `timestamps` are numbers of frames; divided by `fps` they are seconds, and the video lasts `num_frames` of them.
    Raises `Malformed`.
    """
    rate = row.positive("fps", "frames a second")
    duration = row.positive("num_frames", "a number of frames") / rate
    yield from described_moments(row, row.where.partition(":")[2], duration, "tacos", LICENCE, rate)
