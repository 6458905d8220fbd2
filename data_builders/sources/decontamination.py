"""Questions that must not be trained on: about a benchmark's videos, or asked of their video before in nearly the same words."""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from pathlib import Path

from videorouter.data_builders.rejects import Reject
from videorouter.data_builders.sources.excluded import read_excluded, video_names
from videorouter.shards.schema import VideoQuestion

THRESHOLD = 0.9
_ARTICLES = frozenset({"a", "an", "the"})


def decontaminate(
    questions: Sequence[VideoQuestion], excluded_ids: Path | None = None, threshold: float | None = THRESHOLD
) -> tuple[list[VideoQuestion], list[Reject]]:
    """The questions that may be used, in order, and a `Reject` for each other one (ours).

    `excluded_ids` lists benchmark videos (verdict `excluded`; see `read_excluded` for the forms, `video_names` for what matches).
    A question is a `near_duplicate` where an earlier one about the *same video*, with the same options, the same answer and,
    where both have evidence, overlapping spans, has word sets with a Jaccard similarity of at least `threshold`; None keeps
    them. Words are compared without case, punctuation and articles.

    Raises `ValueError` for a list that is missing, empty or does not read, and for a threshold outside (0, 1].
    """
    if threshold is not None and not 0 < threshold <= 1:
        raise ValueError(f"the threshold of near duplicates is {threshold}: give one above 0 and up to 1")
    excluded = read_excluded(excluded_ids) if excluded_ids else {}
    kept: dict[int, VideoQuestion] = {}
    rejects: dict[int, Reject] = {}
    named: dict[str, str | None] = {}
    for place, question in enumerate(questions):
        if question.video not in named:
            names = sorted(video_names(question.video) & excluded.keys())
            named[question.video] = excluded[names[0]] if names else None
        if (line := named[question.video]) is not None:
            reason = f"video {question.video} is excluded by {line!r} in {excluded_ids}"
            rejects[place] = Reject(question.id, "filter", "excluded", reason)
        else:
            kept[place] = question
    for place, earlier in _near_duplicates(kept, threshold) if threshold is not None else ():
        later = kept.pop(place)
        reason = f"{later.question!r} asks of {later.video} what {earlier.id} does: {earlier.question!r}"
        rejects[place] = Reject(later.id, "filter", "near_duplicate", reason)
    return list(kept.values()), [rejects[place] for place in sorted(rejects)]


def words(question: str) -> frozenset[str]:
    """The words of a question without case, punctuation and articles."""
    return frozenset(re.findall(r"\w+", question.casefold())) - _ARTICLES


def _near_duplicates(questions: Mapping[int, VideoQuestion], threshold: float) -> Iterator[tuple[int, VideoQuestion]]:
    """The places of questions that repeat an earlier one which is kept, and that one."""
    alike: dict[Hashable, list[int]] = defaultdict(list)
    for place, question in questions.items():
        options = frozenset(_plain(option) for option in question.options or [])
        alike[question.video, options, _plain(question.answer or "")].append(place)
    for places in alike.values():
        members = [questions[place] for place in places]
        yield from ((places[later], members[earlier]) for later, earlier in _among(members, threshold))


def _among(members: Sequence[VideoQuestion], threshold: float) -> Iterator[tuple[int, int]]:
    """The same of questions with the same video, options and answer, by number.

    Two sets of words can only be as similar as `threshold` when they share one of their rarest words, as many as may differ and
    one more (prefix filtering, Chaudhuri et al. 2006): only those pairs are compared, also where one video has thousands.
    """
    sets = [words(member.question) for member in members]
    counts = Counter(word for found in sets for word in found)
    holding: dict[str, list[int]] = defaultdict(list)
    for number, found in enumerate(sets):
        rarest = sorted(found, key=lambda word: (counts[word], word))
        prefix = rarest[: len(found) - math.ceil(threshold * len(found) - 1e-9) + 1] or [""]
        candidates = sorted({earlier for word in prefix for earlier in holding[word]})
        for earlier in candidates:
            if _similarity(found, sets[earlier]) >= threshold and _overlap(members[number], members[earlier]):
                yield number, earlier
                break
        else:
            for word in prefix:
                holding[word].append(number)


def _similarity(one: frozenset[str], other: frozenset[str]) -> float:
    """Jaccard's."""
    return len(one & other) / len(one | other) if one or other else 1.0


def _overlap(one: VideoQuestion, other: VideoQuestion) -> bool:
    """Whether two questions may be about the same moment."""
    if not one.evidence or not other.evidence:
        return True
    return any(a < d and c < b for a, b in one.evidence for c, d in other.evidence)


def _plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.casefold())) or text
