"""What a build would cost: a sample of its videos is really labelled, the rest is estimated from them. Their answers are kept."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Final

from rich.console import Console
from rich.table import Table

from videorouter.data_builders.building.extrapolation import Interval, left_to_pay, spread, total
from videorouter.data_builders.building.ledger import Ledger
from videorouter.data_builders.building.metering import Meter, MeteredTeacher, Need, together
from videorouter.data_builders.building.plan import ShardJob, VideoJob
from videorouter.data_builders.building.shard_builder import BuildSpec, ShardBuilder, first_stop
from videorouter.data_builders.rejects import Reject
from videorouter.data_builders.teacher.config import Usage
from videorouter.data_builders.teacher.errors import TeacherStopped

COUNTED: Final = {"requests": "requests", "images": "images", "tokens in": "tokens_in", "tokens out": "tokens_out"}
"""Rows of the table, and the counts of a `Usage` that they show."""

WIDTH: Final = 120
"""Columns of a log, which has no width of its own."""


@dataclass(frozen=True)
class Row:
    """One kind of count: of the sample, of all videos, and what of that is still to be paid, where it is paid at all."""

    name: str
    sample: float
    all: Interval
    left: Interval | None = None
    form: str = ",.0f"


@dataclass
class Estimate:
    """What a sample of `sampled` of `videos` showed; `need` is the sample's, `seconds` what it took.

    `kept` counts the answers that the sample found paid, `rejects` are what it put aside, `shards` are bytes to be written.
    """

    sampled: int
    videos: int
    seconds: float
    need: Need
    rows: list[Row]
    shards: Interval | None = None
    rejects: list[Reject] = field(default_factory=list)

    @property
    def kept(self) -> int:
        """Requests of the sample that were paid before."""
        return self.need.used.requests - self.need.paid.requests

    def row(self, name: str) -> Row:
        """A row by its name."""
        return next(row for row in self.rows if row.name == name)

    def show(self, console: Console, tokens_per_second: float | None = None) -> None:
        """The table, with totals of all videos as 95 % intervals, and what follows from them."""
        table = Table(title="estimate")
        for name in ("", f"{self.sampled} videos", f"all {self.videos} videos", "left to pay"):
            table.add_column(name, no_wrap=True)
        for row in self.rows:
            left = row.left.told(row.form) if row.left else ""
            table.add_row(row.name, f"{row.sample:{row.form}}", row.all.told(row.form), left)
        if not console.is_terminal:
            console.width = WIDTH
        console.print(table)
        for line in self.lines(tokens_per_second):
            console.print(line)

    def lines(self, tokens_per_second: float | None = None) -> list[str]:
        """What follows from the counts: sizes, hours, and what was put aside."""
        need, paid, lines = self.need, self.need.paid.requests, []
        requests, tokens = self.row("requests").left, (self.row("tokens in").left, self.row("tokens out").left)
        if need.used.requests:
            lines.append(
                f"{paid} requests were sent now; {self.kept} answers were kept from before, and cost nothing again"
            )
            lines.append(f"a request: at most {need.pictures} pictures and {need.largest / 1e6:,.2f} MB of body")
        if paid and requests:
            lines[-1] += (
                f"; {need.sent / paid / 1e6:,.2f} MB on average, {need.sent / paid * requests.value / 1e9:,.2f} GB in all"
            )
            hours = self.seconds / paid * requests.value / 3600
            lines.append(
                f"{hours:,.2f} hours in one process, at this sample's {paid / self.seconds:,.1f} requests a second"
            )
        if tokens_per_second and tokens[0] and tokens[1]:
            hours = (tokens[0].value + tokens[1].value) / tokens_per_second / 3600
            lines.append(f"{hours:,.2f} GPU-hours at {tokens_per_second:,.0f} tokens a second, in and out")
        if self.shards:
            lines.append(f"shards: {self.shards.told(',.2f', 1e-9)} GB")
        if self.sampled < 2 <= self.videos:
            lines.append("one video tells nothing of others: give --dry_run 8 or more for an interval")
        failed = [reject for reject in self.rejects if reject.failed]
        for verdict, count in Counter(reject.verdict for reject in failed).most_common():
            first = next(reject for reject in failed if reject.verdict == verdict)
            lines.append(f"put aside in the sample: {count} ({verdict}), the first {first.item}: {first.reason}")
        return lines


@dataclass(frozen=True)
class _Sampled:
    """One labelled video: its number among all, what it needed and came to."""

    place: int
    need: Need
    questions: int
    bytes: int
    rejects: list[Reject]


def estimate(spec: BuildSpec, jobs: Sequence[ShardJob], count: int) -> Estimate:
    """Label `count` videos spread evenly over `jobs`. Raises `TeacherStopped`, or `ValueError` where there is no video."""
    weights = [max(1, questions) for job in jobs for questions in job.counts]
    if not weights:
        raise ValueError("there is no video left to build: nothing to estimate")
    places = spread(len(weights), count)
    before = spec.ledger.spent_on([job.path.stem for job in jobs], spec.teacher.model) if spec.teacher else Usage()
    start = time.monotonic()
    with closing(ShardBuilder(spec)) as builder:
        sample = builder.run(_label_all(builder, _chosen(jobs, places)))
    seconds = time.monotonic() - start
    of_sample = [float(weights[one.place]) for one in sample]
    needs = [one.need for one in sample]
    rows = usage_rows(needs, of_sample, weights, before)
    rows += dollar_rows(spec.ledger, needs, of_sample, weights, before)
    questions = [float(one.questions) for one in sample]
    rows.append(Row("questions labelled", sum(questions), total(questions, of_sample, weights)))
    shards = total([float(one.bytes) for one in sample], [1.0] * len(sample), [1.0] * len(weights), unit=0)
    rejects = [reject for one in sample for reject in one.rejects]
    return Estimate(len(sample), len(weights), seconds, together(needs), rows, shards, rejects)


def usage_rows(
    needs: Sequence[Need], weights: Sequence[float], all_weights: Sequence[float], before: Usage
) -> list[Row]:
    """Requests, images and tokens; `before` lay in the journals when the sample was begun."""
    rows = []
    for name, count in COUNTED.items():
        values = [(usage_of(need.used, count), usage_of(need.paid, count)) for need in needs]
        rows.append(_row(name, values, needs, weights, all_weights, usage_of(before, count)))
    return rows


def usage_of(usage: Usage, count: str) -> float:
    """One count of a usage."""
    return float(getattr(usage, count))


def dollar_rows(
    ledger: Ledger, needs: Sequence[Need], weights: Sequence[float], all_weights: Sequence[float], before: Usage
) -> list[Row]:
    """Dollars, where the model has a price."""
    price = ledger.prices.get(ledger.model or "")
    if price is None:
        return []
    values = [(price.usd(need.used), price.usd(need.paid)) for need in needs]
    return [_row("dollars", values, needs, weights, all_weights, price.usd(before), ",.2f")]


def _row(
    name: str,
    values: Sequence[tuple[float, float]],
    needs: Sequence[Need],
    weights: Sequence[float],
    all_weights: Sequence[float],
    before: float,
    form: str = ",.0f",
) -> Row:
    """The row of what the sample's videos used and paid; the unit of its interval is a request's share."""
    used, paid = [one for one, _ in values], [one for _, one in values]
    requests = max(1, sum(need.used.requests for need in needs))
    need, of_paid = (total(one, weights, all_weights, unit=sum(one) / requests) for one in (used, paid))
    return Row(name, sum(used), need, left_to_pay(need, of_paid, sum(used), sum(paid), before), form)


def _chosen(jobs: Sequence[ShardJob], places: Sequence[int]) -> list[tuple[ShardJob, list[tuple[int, VideoJob]]]]:
    """The videos at these places of all, in order, by shard."""
    chosen, first, wanted = [], 0, set(places)
    for job in jobs:
        here = [place for place in range(first, first + len(job.videos)) if place in wanted]
        if here:
            videos = list(job.videos)
            chosen.append((job, [(place, videos[place - first]) for place in here]))
        first += len(job.videos)
    return chosen


async def _label_all(
    builder: ShardBuilder, chosen: Sequence[tuple[ShardJob, list[tuple[int, VideoJob]]]]
) -> list[_Sampled]:
    """The first video alone, since what every request would meet is met once; then a shard's one after another, few at a time."""
    meter, free = Meter(), asyncio.Semaphore(builder.spec.teacher.concurrency if builder.spec.teacher else 8)

    async def label(shard: ShardJob, videos: Sequence[tuple[int, VideoJob]]) -> list[_Sampled]:
        sampled = []
        for place, video in videos:
            async with free, builder.teacher(shard) as teacher:
                with meter.counting(video.video) as need:
                    labeller = builder.labeller(MeteredTeacher(teacher.about(video.video), meter))
                    sample, rejects = await builder.build_video(video, labeller)
            size = sum(map(len, sample.members().values())) if sample else 0
            sampled.append(_Sampled(place, need, len(sample.questions) if sample else 0, size, rejects))
        return sampled

    stopped: TeacherStopped | None = None
    (shard, (video, *others)), *rest = chosen
    alone = await label(shard, [video])
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(label(shard, videos)) for shard, videos in ((shard, others), *rest)]
    except* TeacherStopped as stops:
        stopped = first_stop(stops)
    if stopped:
        raise stopped
    return alone + [sampled for task in tasks for sampled in task.result()]
