"""What a teacher that has looked at some frames knows: relevance of each, and answers - or that there is none."""

import re
from collections import Counter
from collections.abc import Sequence
from itertools import groupby

from videorouter.miniature.teacher.perception import Perceived
from videorouter.miniature.world.wordings import Intent, parse_figure

Seen = Sequence[Perceived | None]

NEEDED, ILLEGIBLE, SIMILAR = 100, 40, 15
EMPTY = frozenset({"a", "an", "the", "it", "is", "there", "are", "symbol", ".", ",", "!", '"', "'"})
"""Words and marks that change no answer of this world."""


def frame_scores(intent: Intent | None, seen: Seen) -> list[int]:
    """0-100 a frame: is it evidence? A cued frame whose glyph can not be told, or one merely like it, scores below half."""
    if intent is None:
        return [0] * len(seen)
    if intent.policy == "global":
        return [NEEDED if frame else 0 for frame in seen]
    return [_score(intent, frame) if frame else 0 for frame in seen]


def answer(intent: Intent | None, seen: Seen, options: Sequence[str] | None) -> str | None:
    """The answer that the frames allow, an option's text where there are options; None where they allow none."""
    if intent is None or not any(seen):
        return None
    found: str | None
    match intent.kind:
        case "count_cue":
            found = str(sum(intent.figure == figure for _, figure in _scenes(seen)))
        case "never_shown":
            found = _only([o for o in options or [] if parse_figure(o) not in {f for _, f in _scenes(seen)}])
        case "top_background":
            found = _most_frequent([background for background, _ in _scenes(seen)])
        case _:
            found = _most_frequent([told for frame in seen if frame and (told := _told(intent, frame))])
    return found if found and (options is None or found in options) else None


def answer_beyond(intent: Intent | None, seen: Seen, options: Sequence[str] | None) -> str | None:
    """As `answer`, or what the frames tell where none of the options is right."""
    found = answer(intent, seen, options)
    if found is None and intent is not None and intent.policy == "fragment":
        return answer(intent, seen, None)
    return found


def names_answer(reply: str, known: str) -> bool:
    """Whether a reply names the known answer and nothing beside it but words that say nothing."""
    said, wanted = (
        [word for word in re.findall(r"[^\W_]+|[^\w\s]", text.casefold()) if word not in EMPTY]
        for text in (reply, known)
    )
    return said == wanted


def agree(intent: Intent, seen: Seen, options: Sequence[str] | None) -> str | None:
    """The answer that every single frame bears out, or, for a question about the whole video, all together; else None."""
    if intent.policy == "global":
        return answer(intent, seen, options)
    told = {_told(intent, frame) if frame else None for frame in seen}
    return told.pop() if len(told) == 1 else None


def _score(intent: Intent, frame: Perceived) -> int:
    if _cued(intent, frame):
        return NEEDED if _told(intent, frame) else ILLEGIBLE
    return SIMILAR if intent.slots["shape"] == frame.figure[1] else 0


def _cued(intent: Intent, frame: Perceived) -> bool:
    if intent.kind == "glyph_by_background":
        return (intent.slots["background"], intent.slots["shape"]) == (frame.background, frame.figure[1])
    return intent.figure == frame.figure


def _told(intent: Intent, frame: Perceived) -> str | None:
    """What a frame says about a fragment question; None where it does not show the cue, or not sharply enough."""
    if not _cued(intent, frame):
        return None
    if intent.kind == "place_of_glyph":
        return next((place for place, glyph in frame.glyphs.items() if glyph == intent.slots["glyph"]), None)
    return frame.glyphs[intent.slots["place"]]


def _scenes(seen: Seen) -> list[tuple[str, tuple[str, str]]]:
    """(background, figure) of each scene in order: neighbouring frames that look alike are one scene."""
    return [look for look, _ in groupby((frame.background, frame.figure) for frame in seen if frame)]


def _only(candidates: Sequence[str]) -> str | None:
    return candidates[0] if len(candidates) == 1 else None


def _most_frequent(candidates: Sequence[str]) -> str | None:
    """The strictly most frequent candidate."""
    ranked = Counter(candidates).most_common(2)
    if not ranked or (len(ranked) == 2 and ranked[0][1] == ranked[1][1]):
        return None
    return ranked[0][0]
