"""What lessons say beyond the wordings of the world: texts of their own, and the world's questions paraphrased.

The base stands for a language model that knows its language; the held-out wordings themselves are never shown to it,
their words are.
"""

import re
from functools import cache
from random import Random
from typing import Final

from videorouter.miniature.world.questions import Question
from videorouter.miniature.world.wordings import KINDS, say

DESCRIBE: Final = (
    "Describe the scene that shows the {colour} {shape}.",
    "Describe the scene with a {shape} on a {background} background.",
)
PICK: Final = "Which option is {text}?"
TALLY: Final = "How many scenes show each of these shapes?"
COMPARE: Final = "Which background of these appears in the most scenes?"
RECITE: Final = "Name the letter of each option."
PRESENT: Final = "Is the {colour} {shape} shown in the video?"

LEFT_OUT: Final = 0.2
ADDED: Final = 0.06
AS_WRITTEN: Final = 0.4
"""Share of questions that stay as the world says them."""


def lesson_texts() -> list[str]:
    """Texts whose words a tokenizer should know; those of `TALLY` and `COMPARE` are the world's own."""
    slots = {"colour": "red", "shape": "circle", "background": "navy", "text": "F"}
    questions = [text.format_map(slots) for text in (*DESCRIBE, PICK, RECITE, PRESENT)]
    return [*questions, "yes", "no", "red circle, navy", ", top left corner: F"]


def rephrased(random: Random, question: Question) -> str:
    """The question in one of its seen wordings, mostly reworded: what it asks can still be told from its slots."""
    template = random.choice(KINDS[question.intent.kind].seen)
    if random.random() >= AS_WRITTEN:
        template = _reworded(random, template)
    return say(template, question.intent.slots)


def _reworded(random: Random, template: str) -> str:
    ending = template[-1]
    clauses = re.split(r"[,:] ", template[:-1])
    if random.random() < 0.5:
        random.shuffle(clauses)
    reworded = []
    for clause in clauses:
        words = []
        for word in clause.split():
            if "{" in word or random.random() >= LEFT_OUT:
                words.append(word)
            if random.random() < ADDED:
                words.append(random.choice(_fillers()))
        reworded.append(" ".join(words))
    text = (random.choice([", ", ": ", " "])).join(clause for clause in reworded if clause)
    return text[:1].upper() + text[1:] + random.choice([ending, ending, "?", "."])


@cache
def _fillers() -> tuple[str, ...]:
    """Every word of every wording that is not a slot."""
    templates = [template for wordings in KINDS.values() for template in wordings.seen + wordings.held_out]
    words = {word.strip(",.:?").lower() for template in templates for word in template.split() if "{" not in word}
    return tuple(sorted(words))
