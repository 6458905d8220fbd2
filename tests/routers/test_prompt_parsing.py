"""Routers read the question of a foreign prompt, not its options and instructions."""

import time

import pytest

from videorouter.routers.answering.prompt_parsing import extract_question

LETTER = "Answer with the option's letter from the given choices directly."
SELECT = (
    "Select the best answer to the following multiple-choice question based on the video. "
    "Respond with only the letter (A, B, C, or D) of the correct option."
)
WORDINGS = {
    "Video-MME": f"{SELECT}\nWhat falls?\nA. A cup.\nB. A plate.\n\n{LETTER}",
    "Video-MME with subtitles": f"This video's subtitles are listed below: \nA: hello\nB: bye\n{SELECT}\nWhat falls?\n"
    "A. A cup.\nB. A plate.\nThe best answer is:",
    "Qwen3-VL's": "Question: What falls?\nOptions:\nA. A cup.\nB. A plate.\nAnswer with the option letter only.",
    "MVBench": "Question:What falls?\nOption:\n(A) A cup.\n(B) A plate.\nOnly give the best option.\n",
    "LongVideoBench": f"What falls?\nA. A cup.\nB. A plate.\n{LETTER}\n",
    "LVBench": "What falls?\n(A) A cup.\n(B) A plate.\nAnswer the question with the option letter.",
    "MLVU": "What falls?\n(A) A cup.\n(B) A plate.\nOnly give the best option.\nBest option: (",
    "ours": "What falls?\nOptions:\n(A) A cup.\n(B) A plate.\nAnswer with the option's letter only.",
}


@pytest.mark.parametrize("wording", WORDINGS)
def test_question_and_options_are_found(wording: str) -> None:
    assert extract_question(WORDINGS[wording]) == ("What falls?", ("A cup.", "A plate."))


@pytest.mark.parametrize(
    "prompt",
    [
        "What falls?",
        "What falls?\nAnswer the question using a single word or phrase.",
        "Please answer the question about the video:\nWhat falls?\nAnswer:",
    ],
)
def test_a_question_without_options_is_read_without_instructions(prompt: str) -> None:
    assert extract_question(prompt) == ("What falls?", None)


@pytest.mark.parametrize(
    "prompt", ["", "Answer with yes or no.", "Who is A?\nA. Smith or B. Jones?", "Why does she\nanswer the phone?"]
)
def test_what_is_not_recognised_stays_whole(prompt: str) -> None:
    assert extract_question(prompt) == (prompt, None)


def test_a_gap_in_the_letters_ends_the_options() -> None:
    assert extract_question("Which?\nA. one\nB. two\nD. four").options == ("one", "two")


def test_options_after_examples_are_the_last_ones() -> None:
    prompt = "What sings?\nA. a bird\nB. a cat\nAnswer: A\n\nQuestion: What falls?\nA. a cup\nB. a plate\nC. rain"
    assert extract_question(prompt) == ("What falls?", ("a cup", "a plate", "rain"))


@pytest.mark.parametrize("line", ["A. x{}y", "Options{}y", "Answer{}:{}(y", "Question{}y"])
def test_long_runs_of_spaces_are_read_at_once(line: str) -> None:
    """A line that fails to match only behind them took minutes, and a server reads lines of strangers."""
    spaces = " " * 1_000_000
    begun = time.process_time()
    assert extract_question("What falls?\n" + line.format(spaces, spaces)).question.startswith("What falls?")
    assert time.process_time() - begun < 1
