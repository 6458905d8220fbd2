"""What a teacher that has looked at some frames knows: relevance of each, and answers - or that there is none."""

import re
from collections import Counter
from collections.abc import Sequence
from itertools import groupby

from videorouter.miniature.perception import Perceived
from videorouter.miniature.wordings import Asked, parse_figure

Seen = Sequence[Perceived | None]

NEEDED, ILLEGIBLE, SIMILAR = 100, 40, 15
EMPTY = frozenset({"a", "an", "the", "it", "is", "there", "are", "symbol", ".", ",", "!", '"', "'"})
"""Words and marks that change no answer of this world."""


def frame_scores(asked: Asked | None, seen: Seen) -> list[int]:
    """0-100 a frame: is it evidence? A cued frame whose glyph can not be told, or one merely like it, scores below half."""
    if asked is None:
        return [0] * len(seen)
    if asked.policy == "global":
        return [NEEDED if frame else 0 for frame in seen]
    return [_score(asked, frame) if frame else 0 for frame in seen]


def answer(asked: Asked | None, seen: Seen, options: Sequence[str] | None) -> str | None:
    """The answer that the frames allow, an option's text where there are options; None where they allow none."""
    if asked is None or not any(seen):
        return None
    found: str | None
    match asked.kind:
        case "count_cue":
            found = str(sum(asked.figure == figure for _, figure in _scenes(seen)))
        case "never_shown":
            found = _only([o for o in options or [] if parse_figure(o) not in {f for _, f in _scenes(seen)}])
        case "top_background":
            found = _most_frequent([background for background, _ in _scenes(seen)])
        case _:
            found = _most_frequent([told for frame in seen if frame and (told := _told(asked, frame))])
    return found if found and (options is None or found in options) else None


def answer_beyond(asked: Asked | None, seen: Seen, options: Sequence[str] | None) -> str | None:
    """As `answer`, or what the frames tell where none of the options is right."""
    found = answer(asked, seen, options)
    if found is None and asked is not None and asked.policy == "fragment":
        return answer(asked, seen, None)
    return found


def says(reply: str, known: str) -> bool:
    """Whether a reply names the known answer and nothing beside it but words that say nothing."""
    said, wanted = (
        [word for word in re.findall(r"[^\W_]+|[^\w\s]", text.casefold()) if word not in EMPTY]
        for text in (reply, known)
    )
    return said == wanted


def agree(asked: Asked, seen: Seen, options: Sequence[str] | None) -> str | None:
    """The answer that every single frame bears out, or, for a question about the whole video, all together; else None."""
    if asked.policy == "global":
        return answer(asked, seen, options)
    told = {_told(asked, frame) if frame else None for frame in seen}
    return told.pop() if len(told) == 1 else None


def _score(asked: Asked, frame: Perceived) -> int:
    if _cued(asked, frame):
        return NEEDED if _told(asked, frame) else ILLEGIBLE
    return SIMILAR if asked.slots["shape"] == frame.figure[1] else 0


def _cued(asked: Asked, frame: Perceived) -> bool:
    if asked.kind == "glyph_by_background":
        return (asked.slots["background"], asked.slots["shape"]) == (frame.background, frame.figure[1])
    return asked.figure == frame.figure


def _told(asked: Asked, frame: Perceived) -> str | None:
    """What a frame says about a fragment question; None where it does not show the cue, or not sharply enough."""
    if not _cued(asked, frame):
        return None
    if asked.kind == "place_of_glyph":
        return next((place for place, glyph in frame.glyphs.items() if glyph == asked.slots["glyph"]), None)
    return frame.glyphs[asked.slots["place"]]


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
