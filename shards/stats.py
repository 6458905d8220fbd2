"""What is in a folder of shards, by split."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from shards.reader import ShardDataset
from shards.sidecar import read_sidecar


@dataclass(frozen=True)
class SplitStats:
    """Counts of one split. `relevant_share` is the mean share of relevant frames over labelled questions."""

    split: str
    shards: int
    videos: int
    questions: int
    relevance_labels: int
    relevant_share: float
    policies: dict[str, int]
    hours: float
    megabytes: float


def statistics(folder: Path) -> list[SplitStats]:
    """One row a split, sorted by name. Raises `ShardError` where shards do not read."""
    by_split: dict[str, list[Path]] = {}
    for shard in sorted(folder.glob("*-*.tar")):
        by_split.setdefault(shard.name.rsplit("-", 1)[0], []).append(shard)
    return [_of_split(folder, split, shards) for split, shards in sorted(by_split.items())]


def _of_split(folder: Path, split: str, shards: list[Path]) -> SplitStats:
    dataset = ShardDataset(folder, split=split)
    samples = [dataset[index] for index in range(len(dataset))]
    labelled = [question for sample in samples for question in sample.questions]
    shares = [sum(q.relevance.relevant) / len(q.relevance.relevant) for q in labelled if q.relevance]
    return SplitStats(
        split=split,
        shards=len(shards),
        videos=len(samples),
        questions=sum(read_sidecar(shard).questions for shard in shards),
        relevance_labels=len(shares),
        relevant_share=sum(shares) / len(shares) if shares else 0.0,
        policies=dict(Counter(q.policy.policy for q in labelled if q.policy)),
        hours=sum(sample.video.duration for sample in samples) / 3600,
        megabytes=sum(shard.stat().st_size for shard in shards) / 1e6,
    )
