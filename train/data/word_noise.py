"""Word noise on questions: words left out, others put in, clauses exchanged (ours).

A router that reads questions learns from few wordings, and hangs on what only they share: how a sentence begins, say. Worn
questions ask for the same policy.
"""

import re
from collections.abc import Sequence
from random import Random
from typing import Final

AS_WRITTEN: Final = 0.25
"""Share of questions that stay as they are."""
EXCHANGED: Final = 0.5
"""Share of the others whose clauses change places."""
ADDED: Final = 0.3
"""Words put in, for each one left out."""


def with_word_noise(random: Random, question: str, left_out: float, words: Sequence[str]) -> str:
    """The question with a share `left_out` of its words left out, and some of `words` put in; never empty."""
    if random.random() < AS_WRITTEN:
        return question
    clauses = re.split(r"[,:;] ", question.strip().rstrip("?."))
    if random.random() < EXCHANGED:
        random.shuffle(clauses)
    kept = [" ".join(_some(random, clause.split(), left_out, words)) for clause in clauses]
    text = random.choice([", ", ": ", " "]).join(clause for clause in kept if clause)
    return f"{text[:1].upper()}{text[1:]}{random.choice('?.')}" if text else question


def _some(random: Random, clause: Sequence[str], left_out: float, words: Sequence[str]) -> list[str]:
    kept = []
    for word in clause:
        if random.random() >= left_out:
            kept.append(word)
        if words and random.random() < ADDED * left_out:
            kept.append(random.choice(words))
    return kept


def words_of(questions: Sequence[str]) -> list[str]:
    """All words of some questions, as often as they occur."""
    return [word for question in questions for word in re.findall(r"\w+", question.lower())]
