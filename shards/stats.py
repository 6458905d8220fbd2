"""What is in a folder of shards, by split."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from videorouter.shards.catalogue import Catalogue, read_labels, read_record
from videorouter.shards.sidecar import split_of


@dataclass(frozen=True)
class SplitStats:
    """Counts of one split. `relevant_share` is the mean share of relevant frames over labelled questions; `licences` count
    questions, `seconds` are the shortest, median and longest video."""

    split: str
    shards: int
    videos: int
    frames: int
    questions: int
    relevance_labels: int
    relevant_share: float
    policies: dict[str, int]
    licences: dict[str, int]
    seconds: tuple[float, float, float]
    hours: float
    bytes: int


def statistics(folder: str | Path) -> list[SplitStats]:
    """One row a split, sorted by name; frames are not read. Raises `ShardError` where shards do not read."""
    catalogue = Catalogue(folder)
    splits = sorted({split_of(name) for name in catalogue.shards})
    return [_of_split(catalogue, split) for split in splits]


def _of_split(catalogue: Catalogue, split: str) -> SplitStats:
    places = [place for place in catalogue.places if split_of(place.shard) == split]
    labelled = [question for place in places for question in read_labels(catalogue.storage, place)]
    shares = [sum(q.relevance.relevant) / len(q.relevance.relevant) for q in labelled if q.relevance]
    durations = sorted(read_record(catalogue.storage, place).duration for place in places)
    return SplitStats(
        split=split,
        shards=len({place.shard for place in places}),
        videos=len(places),
        frames=sum(place.entry.frames for place in places),
        questions=len(labelled),
        relevance_labels=len(shares),
        relevant_share=sum(shares) / len(shares) if shares else 0.0,
        policies=dict(sorted(Counter(q.policy.policy for q in labelled if q.policy).items())),
        licences=dict(sorted(Counter(q.question.licence or "unstated" for q in labelled).items())),
        seconds=(durations[0], durations[len(durations) // 2], durations[-1]),
        hours=sum(durations) / 3600,
        bytes=sum(shard.bytes for name, shard in catalogue.shards.items() if split_of(name) == split),
    )
