"""What a build would cost: a sample of its videos is really labelled, the rest is estimated from them. Their answers are kept."""

import asyncio
import statistics
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from videorouter.data_builders.building.ledger import Ledger
from videorouter.data_builders.building.plan import ShardJob, VideoJob
from videorouter.data_builders.building.shard_builder import BuildSpec, ShardBuilder, first_stop
from videorouter.data_builders.teacher.config import Usage
from videorouter.data_builders.teacher.errors import TeacherStopped
from videorouter.data_builders.teacher.teacher import Teacher

Z95 = 1.96


@dataclass(frozen=True)
class Measured:
    """What one video took: its cost, paid now or earlier; questions labelled; requests really sent now."""

    usage: Usage
    usd: float | None
    questions: int
    asked: int


@dataclass(frozen=True)
class Estimate:
    """The sample, the seconds it took (answers kept from before cost none), and the number of videos it is a sample of."""

    sample: list[Measured]
    seconds: float
    videos: int

    def table(self) -> Table:
        """Totals with 95 % intervals (normal, over videos; ours)."""
        table = Table("", f"of {len(self.sample)} videos", "a video", f"all {self.videos} videos", title="estimate")
        rows: list[tuple[str, list[float], str]] = [
            ("requests", [m.usage.requests for m in self.sample], ",.0f"),
            ("images", [m.usage.images for m in self.sample], ",.0f"),
            ("tokens in", [m.usage.tokens_in for m in self.sample], ",.0f"),
            ("tokens out", [m.usage.tokens_out for m in self.sample], ",.0f"),
            ("questions labelled", [m.questions for m in self.sample], ",.0f"),
        ]
        prices = [m.usd for m in self.sample if m.usd is not None]
        if len(prices) == len(self.sample):
            rows.append(("dollars", prices, ",.2f"))
        for name, values, form in rows:
            mean = statistics.fmean(values)
            half = Z95 * statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else 0.0
            low, high = max(0.0, mean - half) * self.videos, (mean + half) * self.videos
            whole = f"{mean * self.videos:{form}} ({low:{form}}-{high:{form}})"
            table.add_row(name, f"{sum(values):{form}}", f"{mean:,.2f}", whole)
        hours = self.seconds / len(self.sample) * self.videos / 3600
        sent = f"{self.seconds / 3600:,.4f} ({sum(m.asked for m in self.sample)} requests sent now)"
        table.add_row("hours", sent, "", f"{hours:,.2f} in one process")
        return table


def estimate(spec: BuildSpec, jobs: Sequence[ShardJob], count: int) -> Estimate:
    """Label `count` videos spread evenly over `jobs`. Raises `TeacherStopped`, or `ValueError` where there is no video."""
    videos = [(shard, video) for shard in jobs for video in shard.videos]
    if not videos:
        raise ValueError("there is no video left to build: nothing to estimate")
    count = min(count, len(videos))
    chosen: dict[Path, tuple[ShardJob, list[VideoJob]]] = {}
    for position in range(count):
        shard, video = videos[position * len(videos) // count]
        chosen.setdefault(shard.path, (shard, []))[1].append(video)
    start = time.monotonic()
    with closing(ShardBuilder(spec)) as builder:
        sample = builder.run(_label_all(builder, list(chosen.values())))
    return Estimate(sample, time.monotonic() - start, len(videos))


async def _label_all(builder: ShardBuilder, chosen: Sequence[tuple[ShardJob, Sequence[VideoJob]]]) -> list[Measured]:
    async def label(shard: ShardJob, videos: Sequence[VideoJob]) -> list[Measured]:
        measured = []
        for video in videos:
            async with builder.teacher(shard) as teacher:
                (sample, _) = await builder.build_video(video, builder.labeller(teacher.about(video.video)))
            measured.append(_measured(builder.spec.ledger, teacher, len(sample.questions) if sample else 0))
        return measured

    stopped: TeacherStopped | None = None
    (shard, (video, *others)), *rest = chosen
    alone = await label(shard, [video])  # what every request would meet is met once
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(label(shard, videos)) for shard, videos in ((shard, others), *rest)]
    except* TeacherStopped as stops:
        stopped = first_stop(stops)
    if stopped:
        raise stopped
    return alone + [measured for task in tasks for measured in task.result()]


def _measured(ledger: Ledger, teacher: Teacher, questions: int) -> Measured:
    price = ledger.prices.get(teacher.config.model)
    return Measured(teacher.used, price.usd(teacher.used) if price else None, questions, teacher.usage.requests)
