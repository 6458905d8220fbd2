"""Questions said in many more ways than the world's own wordings: words left out, added, clauses exchanged.

The base stands for a language model that knows its language; the held-out wordings themselves are never shown to it,
their words are.
"""

import re
from functools import cache
from random import Random
from typing import Final

from videorouter.miniature.questions import Riddle
from videorouter.miniature.wordings import KINDS, say

LEFT_OUT: Final = 0.2
ADDED: Final = 0.06
AS_WRITTEN: Final = 0.4
"""Share of questions that stay as the world says them."""


def rephrased(random: Random, riddle: Riddle) -> str:
    """The riddle's question in one of its seen wordings, mostly worn: what it asks can still be told from its slots."""
    template = random.choice(KINDS[riddle.asked.kind].seen)
    if random.random() >= AS_WRITTEN:
        template = _worn(random, template)
    return say(template, riddle.asked.slots)


def _worn(random: Random, template: str) -> str:
    ending = template[-1]
    clauses = re.split(r"[,:] ", template[:-1])
    if random.random() < 0.5:
        random.shuffle(clauses)
    worn = []
    for clause in clauses:
        words = []
        for word in clause.split():
            if "{" in word or random.random() >= LEFT_OUT:
                words.append(word)
            if random.random() < ADDED:
                words.append(random.choice(_fillers()))
        worn.append(" ".join(words))
    text = (random.choice([", ", ": ", " "])).join(clause for clause in worn if clause)
    return text[:1].upper() + text[1:] + random.choice([ending, ending, "?", "."])


@cache
def _fillers() -> tuple[str, ...]:
    """Every word of every wording that is not a slot."""
    templates = [template for wordings in KINDS.values() for template in wordings.seen + wordings.held_out]
    words = {word.strip(",.:?").lower() for template in templates for word in template.split() if "{" not in word}
    return tuple(sorted(words))
