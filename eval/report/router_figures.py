"""What the routers of one cell decided, against what the benchmark knows: policies, and relevance of evidence frames."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch

from videorouter.eval.benchmarks.items import Item
from videorouter.eval.report.joined_runs import Contender, JoinedRuns
from videorouter.eval.run_folder import REAL_KINDS, THRESHOLD, Cell, Prediction, SampledVideo
from videorouter.eval.statistics import bootstrap_interval
from videorouter.routers.backbones.temporal import merged_any
from videorouter.routers.routing.metrics import auroc_within_question, recall_among_best, recall_and_precision
from videorouter.routers.systems.spec import parse_spec

RECALL: Final = "recall at the threshold"
TENTH: Final = "recall in the top tenth"
PRECISION: Final = "precision at the threshold"
AUROC: Final = "AUROC"
TOKENS: Final = "tokens on evidence"
MEASURES: Final = (RECALL, TENTH, PRECISION, AUROC, TOKENS)


@dataclass(frozen=True)
class Measured:
    """Mean over questions, all alike, in 0..1, with its 95 % interval over videos; `chance` is what chance would reach."""

    mean: float
    low: float
    high: float
    chance: float | None = None


@dataclass(frozen=True)
class Policies:
    """`chosen` counts policies by group of the benchmark's first dimension, `against` pairs of (right, chosen) policy.

    `against` is empty and `right` None where the right policy is nowhere known.
    """

    chosen: dict[str, Counter[str]]
    against: Counter[tuple[str, str]]
    right: Measured | None


@dataclass(frozen=True)
class Evidence:
    """Of `asked` questions whose evidence is known or marked, `counted` were scored, and some but not all of their frames hold it.

    `measures` has those of `MEASURES` that are known: those at a threshold where the manifest says it; precision and AUROC where
    the truth of every counted question is known, for a benchmark that marks evidence does not say that nothing else is.
    """

    asked: int
    counted: int
    threshold: float | None
    measures: dict[str, Measured]


@dataclass(frozen=True)
class Routing:
    """One contender's figures; None for what its answers do not show."""

    contender: Contender
    policies: Policies | None
    evidence: Evidence | None


def routing(joined: JoinedRuns, cell: Cell) -> list[Routing]:
    """The figures of every contender that routed; a bound decides nothing, and a control decides as its system does."""
    found = [
        Routing(contender, _policies(joined, contender, answers), _evidence(joined, contender, answers))
        for contender, answers in joined.answers[cell].items()
        if answers[0].kind in REAL_KINDS
    ]
    return [own for own in found if own.policies or own.evidence]


def has_evidence(item: Item) -> bool:
    """Whether there is evidence to find: the truth is known and its policy is `fragment`, or evidence is marked."""
    if item.truth is not None:
        return item.truth.policy == "fragment"
    return bool(item.evidence_frames or item.evidence_spans)


def frames_merged(sampled: int, scored: int) -> int:
    """How many of the `sampled` frames share each of `scored` scores, as the model merged them."""
    return -(-sampled // scored)


def evidence_of(item: Item, video: SampledVideo, scored: int) -> tuple[bool, ...]:
    """One bool for each of `scored` frames: evidence if any of the sampled frames merged in it is.

    Where the truth is known, the sampled frames shown within it are, as in `router_quality`. A marked frame of the file
    belongs to the sampled frame nearest to it, in the middle between two to both; a marked span to all sampled frames within
    it, or where there is none to the one nearest to its middle. A mark farther from every sampled frame than these are from
    each other lies where nothing was sampled, and belongs to none.
    """
    if item.truth is not None:
        sampled = item.truth.of_frames(video.seconds).relevant
    else:
        indices, seconds = np.array(video.indices), np.array(video.seconds)
        marks = [_nearest(indices, frame) for frame in item.evidence_frames]
        for start, end in item.evidence_spans:
            within = (start <= seconds) & (seconds < end)
            marks.append(within if within.any() else _nearest(seconds, (start + end) / 2))
        sampled = tuple(np.any(marks, axis=0).tolist())
    return merged_any(sampled, frames_merged(len(sampled), scored))


def _policies(joined: JoinedRuns, contender: Contender, answers: Sequence[Prediction]) -> Policies | None:
    """None also for `videorouter(policy=...)`, for which no router chose."""
    if parse_spec(contender.system).options.get("policy") is not None:
        return None
    chosen: dict[str, Counter[str]] = {}
    against: list[tuple[str, str]] = []
    videos = []
    for answer in answers:
        item = joined.items[answer.benchmark][answer.item]
        if answer.policy is not None:
            chosen.setdefault(item.group, Counter())[answer.policy] += 1
            if item.truth is not None:
                against.append((item.truth.policy, answer.policy))
                videos.append(answer.video)
    if not chosen:
        return None
    right = _measured([truth == policy for truth, policy in against], videos) if against else None
    return Policies(dict(sorted(chosen.items())), Counter(against), right)


def _evidence(joined: JoinedRuns, contender: Contender, answers: Sequence[Prediction]) -> Evidence | None:
    items = joined.items[answers[0].benchmark]
    asked = [answer for answer in answers if has_evidence(items[answer.item])]
    if not any(answer.relevance for answer in asked):
        return None
    counted, labels = [], []
    for answer in asked:
        video = joined.videos.get((answer.benchmark, answer.video, answer.sampled))
        if video and answer.relevance:
            held = evidence_of(items[answer.item], video, len(answer.relevance))
            if any(held) and not all(held):
                counted.append(answer)
                labels.append(held)
    threshold = _threshold(joined, contender.model)
    known = all(items[answer.item].truth is not None for answer in counted)
    told = [_of_question(answer, held, threshold, known) for answer, held in zip(counted, labels, strict=True)]
    videos = [answer.video for answer in counted]
    return Evidence(
        len(asked),
        len(counted),
        threshold,
        {
            name: _measured([own[name][0] for own in told], videos, float(np.mean([own[name][1] for own in told])))
            for name in MEASURES
            if told and name in told[0]
        },
    )


def _of_question(
    answer: Prediction, held: tuple[bool, ...], threshold: float | None, known: bool
) -> dict[str, tuple[float, float]]:
    """Value and chance by name. By chance as many frames are drawn, or scores say nothing, or tokens are spread evenly."""
    assert answer.relevance is not None
    scores, labels = torch.tensor(answer.relevance), torch.tensor(held)
    best, share = -(-len(held) // 10), sum(held) / len(held)
    spent = sum(tokens for frame, tokens in zip(answer.frames, answer.tokens_by_frame, strict=True) if held[frame])
    found = {
        TENTH: (recall_among_best(scores, labels, best), best / len(held)),
        TOKENS: (spent / sum(answer.tokens_by_frame), share),
    }
    if threshold is not None:
        recall, precision = recall_and_precision(scores, labels, threshold)
        found[RECALL] = recall, float((scores > threshold).float().mean())
        if known:
            found[PRECISION] = precision, share
    if known:
        area = auroc_within_question(scores, labels)
        assert area is not None  # some frames hold evidence, and some do not
        found[AUROC] = area, 0.5
    return found


def _threshold(joined: JoinedRuns, model: str) -> float | None:
    """Of the runs of this model, where all say the same."""
    said = {manifest.get(THRESHOLD) for _, manifest in joined.runs if model in manifest.get("models", {})}
    return said.pop() if len(said) == 1 else None


def _measured(values: Sequence[float], videos: Sequence[str], chance: float | None = None) -> Measured:
    each = np.array(values, dtype=float)
    return Measured(float(each.mean()), *bootstrap_interval(each, videos), chance)


def _nearest(places: np.ndarray, mark: float) -> np.ndarray:
    """Bools `[T]` over the `places` of sampled frames, which may repeat where the file has fewer."""
    distances = np.abs(places - mark)
    return (distances == distances.min()) & (distances <= np.diff(places).max(initial=0))
