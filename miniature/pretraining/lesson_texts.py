"""What lessons say beyond the wordings of the world."""

from typing import Final

DESCRIBE: Final = (
    "Describe the scene that shows the {colour} {shape}.",
    "Describe the scene with a {shape} on a {background} background.",
)
PICK: Final = "Which option is {text}?"
TALLY: Final = "How many scenes show each of these shapes?"
COMPARE: Final = "Which background of these appears in the most scenes?"
RECITE: Final = "Name the letter of each option."
PRESENT: Final = "Is the {colour} {shape} shown in the video?"


def lesson_texts() -> list[str]:
    """Texts whose words a tokenizer should know; those of `TALLY` and `COMPARE` are the world's own."""
    slots = {"colour": "red", "shape": "circle", "background": "navy", "text": "F"}
    questions = [text.format_map(slots) for text in (*DESCRIBE, PICK, RECITE, PRESENT)]
    return [*questions, "yes", "no", "red circle, navy", ", top left corner: F"]
