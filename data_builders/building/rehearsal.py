"""The first video, labelled to its end before a second is begun: what every request would meet is met once (ours).

Its requests are the build's own and are kept: the build itself finds their answers in the journal.
"""

import logging
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice

from rich.console import Console

from videorouter.data_builders.building.plan import ShardJob, VideoJob
from videorouter.data_builders.building.shard_builder import BuildSpec, ShardBuilder
from videorouter.data_builders.teacher.fault import VIDEOS
from videorouter.data_builders.teacher.sent import Sent, together
from videorouter.data_builders.teacher.teacher import Teacher

_log = logging.getLogger(__name__)

TRIED = 50
"""Videos that may turn out to be missing or broken before the build begins without a rehearsal."""


@dataclass
class Rehearsal:
    """What some videos, each alone, showed of the kinds of request that a build sends."""

    kinds: Sequence[str]
    videos: list[str] = field(default_factory=list)
    passed: set[str] = field(default_factory=set)
    met: dict[str, str] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    sent: dict[str, Sent] = field(default_factory=dict)

    def hear(self, video: str, teacher: Teacher) -> None:
        """Count in what `teacher` heard, which was asked about one video, alone."""
        heard = teacher.heard
        self.videos.append(video)
        self.passed |= {kind for kind, _ in heard.passed}
        self.met |= {met.kind: met.reason for met in heard.met}
        self.refused = set(self.met) - self.passed | {met.kind for met in teacher.streaks.doubts}

    @property
    def over(self) -> bool:
        """Whether each kind that was needed has passed, or so many videos were put aside that no more would tell."""
        return (bool(self.passed) and not self.refused) or len(self.videos) >= VIDEOS

    def lines(self) -> Iterable[str]:
        """A line a kind of request; none where all was kept from before."""
        if not self.sent or not self.videos:
            return
        yield f"rehearsed with {', '.join(self.videos)}, before others are asked about:"
        for kind in dict.fromkeys((*self.kinds, *self.sent, *self.met)):
            if kind in self.refused:
                yield f"  {kind}: did not pass: {self.met[kind][:300]}"
            elif kind in self.passed:
                yield f"  {kind}: passed; {self.sent.get(kind, 'kept from before')}"
            else:
                yield f"  {kind}: not needed yet"


def rehearse(spec: BuildSpec, jobs: Sequence[ShardJob]) -> None:
    """Label the first video alone; while a kind of request is refused, the next one, too. Raises `TeacherStopped`."""
    if spec.teacher is None or not spec.recipe.kinds:
        return
    videos = ((job, video) for job in jobs for video in job.videos)
    with closing(ShardBuilder(spec)) as builder:
        show(builder.run(_alone(builder, list(islice(videos, TRIED)))))


def show(rehearsal: Rehearsal) -> None:
    """On standard error and in the log: what follows costs as much, many times over."""
    for line in rehearsal.lines():
        _log.info("%s", line)
        Console(markup=False, highlight=False, soft_wrap=True, stderr=True).print(line)


async def _alone(builder: ShardBuilder, videos: Sequence[tuple[ShardJob, VideoJob]]) -> Rehearsal:
    rehearsal = Rehearsal(builder.spec.recipe.kinds)
    for job, video in videos:
        async with builder.teacher(job) as teacher:
            _, rejects = await builder.build_video(video, builder.labeller(teacher.about(video.video)))
        if any(reject.stage == "video" for reject in rejects):
            continue
        rehearsal.hear(video.video, teacher)
        rehearsal.sent = together([rehearsal.sent, teacher.sent])
        if rehearsal.over:
            break
    return rehearsal
