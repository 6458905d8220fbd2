"""The parser gets the listed cases right, and never guesses."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from videorouter.routers.answering.parser import parse_choice
from videorouter.routers.systems.query import lettered, letters

OPTIONS = ["a blue boat", "a red car", "a green tree", "a dog", "two cats"]

PLAIN = [
    "B", "(B)", "B.", "B</s>", "B<|im_end|>", "b", "b.", "(b)", "[B]", "B)", "B:", "B?", " B \n",
    "（B）", "**B**", "__B__", "`B`", "$B$",
    "#### B",
    "The answer is B", "the answer is b", "The best answer is: B", "Answer: B", "ANSWER - B", "Answer:\nB", "Answer B",
    "Option B", "My final choice is (B).", "The correct option is option B.", "The answer to the question is B",
    "The answer is most likely B.", "Best option: (B) a red car", "Best option: B", "B) a red car", "B. a red car",
    "B: a red car", "B - a red car", "B, a red car", "B a red car", "(B) a red car", "B.a red car", "B\n\nThe car is red.",
    "B because the car is red", "B. A red car", "B, since a dog is never shown", "{\"answer\": \"B\"}", "I choose B.",
    "I'd go with B", "I think it's B.", "B is correct.", "(B) is the correct answer",
    "Ans: B", "option b", "(B", "Best option: (B", "B. a red car\n\nA. is wrong", "Option B is the best answer.",
]  # fmt: skip

BY_TEXT = [
    "a red car", "A red car.", "A red car drives by", "It is a red car.", "**a red car**", "\"A Red Car\"",
    "The answer is a red car", "The answer is A red car drives by",
    "I first saw a blue boat, but the final answer is a red car.", "It is not a blue boat but a red car",
]  # fmt: skip

REASONED = [
    "<answer>B</answer>", "<think>It may be A or C.</think>B", "<think>A</think><answer>(B)</answer>", "It is A </think> B",
    "<think>A</think> hm <think>C</think> The answer is B.", "<answer>B", "<answer></answer> B", "<ANSWER> B. </ANSWER>",
    "<answer>A</answer> no: <answer>B</answer>", "<answer>a red car</answer>", r"\boxed{B}", r"\boxed{\text{B}}",
    r"Thus $\boxed{(B)}$ is what we want", r"<answer>\boxed{B}</answer>",
    "A man enters. Then a dog barks.\nThe car is seen again.\nAnswer: B",
    "Let us look at every option. A shows a boat. C shows a tree. So the answer is B.",
    "Options:\n(A) a blue boat\n(B) a red car\n(C) a green tree\nAnswer: (B)", "The video shows a man.\n\nB", "Step 1: look. B",
]  # fmt: skip

CORRECTED = [
    "At first I thought the answer is A, but the final answer is B", "At first I thought A, but the final answer is B",
    "I thought A but the final answer is B", "The answer is A. Wait, no, it's B.", "A. Actually, B.", "A? No, B.", "A? No. B.",
    "I think A... no, B.", "The answer is A. On second thought, the answer is B.", "Answer: A. Correction: B",
    "Between A and B, I choose B", "One might think the answer is A. It is B.", "Initially I chose D; the correct answer is B.",
]  # fmt: skip

RULED_OUT = [
    "It is not A. B", "Not A, but B", "The answer is not A but B", "The answer is not A. It is B.", "B, not A", "B rather than C",
    "Neither A nor C. B", "It can't be A or C, so B", "The answer is B, not (A).", "It isn't A. The answer is B", "not A, B",
]  # fmt: skip


@pytest.mark.parametrize("text", PLAIN + BY_TEXT + REASONED + CORRECTED + RULED_OUT)
def test_ways_to_say_b(text: str) -> None:
    assert parse_choice(text, OPTIONS) == "B"


NOTHING = [
    "", "   ", "\n", ".", "**", "I cannot tell", "Z", "A small plane", "A man walks in.", "I", "I see a plane.", "(", "<answer>",
    "<think>The answer is B", "<think>B</think>", "<answer>a plane</answer>", r"\boxed{Z}", "Plan B is shown.", "vitamin C",
    "D.C. is the capital", "A.M.", "There is no C.", "The answer is clear.", "The answer is unclear: nothing is shown",
    "One might think the answer is A.", "If the answer is A then the car is blue",
]  # fmt: skip
SEVERAL = [
    "A or B", "(A) or (B)", "A/B", "A & B", "A and B", "A, B", "A,B,C", "a or b", "A. B", "A\nB", "The answer is A or B", "AB",
    "The answer is A and C.", "a boat or a car", "a red car or a dog", "A. a blue boat\nB. a red car", "Both A and B are right",
    "Option A or option B", "The answer is A. Wait, C fits better.", "<answer>A or B</answer>",
]  # fmt: skip
ONLY_NEGATED = [
    "not B", "It is not A", "Not (B).", "neither A nor B", "The answer is not B", "It isn't B.", "not a red car",
    "(B) is incorrect", "B is wrong.", "B is not correct", "I don't think it's B", "I do not believe the answer is B",
]  # fmt: skip


@pytest.mark.parametrize("text", NOTHING + SEVERAL + ONLY_NEGATED)
def test_what_says_no_single_option_is_unparsed(text: str) -> None:
    assert parse_choice(text, OPTIONS) is None


def test_a_later_statement_counts_however_often_the_mind_is_changed() -> None:
    assert parse_choice("At first I thought A, but the final answer is D", OPTIONS) == "D"
    assert parse_choice("The answer is A. Wait, the answer is C. No, the final answer is E.", OPTIONS) == "E"


def test_a_sentence_that_starts_with_the_article_is_not_option_a() -> None:
    assert parse_choice("A red car drives by", OPTIONS) == "B"
    assert parse_choice("A small plane", OPTIONS) is None
    assert parse_choice("A blue boat", OPTIONS) == "A"
    assert parse_choice("A because of the boat", OPTIONS) == "A"


def test_options_beyond_d_are_read() -> None:
    assert parse_choice("E", OPTIONS) == "E"
    assert parse_choice("The best answer is (E).", OPTIONS) == "E"
    assert parse_choice("F", OPTIONS) is None
    assert parse_choice("I", [str(number) for number in range(9)]) == "I"
    assert parse_choice("I do not know", [str(number) for number in range(9)]) is None


def test_an_option_inside_a_longer_one_is_not_meant() -> None:
    assert parse_choice("the very red car it was", ["red", "very red car"]) == "B"


def test_where_options_are_letters_the_letter_of_the_option_counts() -> None:
    assert parse_choice("B", ["B", "A"]) == "B"
    assert parse_choice("(A) B", ["B", "A"]) == "A"


def test_numbers_are_options_like_others() -> None:
    assert parse_choice("There are 3 of them", ["1", "2", "3"]) == "C"
    assert parse_choice("2 or 3", ["1", "2", "3"]) is None


FRAGMENTS = st.sampled_from([
    "A", "(B)", "C.", "d", "the answer is", "not", "but", "or", "<answer>", "</answer>", "<think>", "</think>", "\\boxed{", "}",
    "wait,", "actually", "option", "I thought", "a red car", "a dog", "**", "$", "\n", ".", ",", "?", ":", "-", "is correct",
])  # fmt: skip
TEXTS = st.one_of(
    st.text(max_size=80), st.lists(FRAGMENTS, max_size=14).map(" ".join), st.lists(FRAGMENTS, max_size=9).map("".join)
)


@settings(max_examples=200, deadline=None)
@given(TEXTS, st.one_of(st.just(OPTIONS), st.lists(st.text(max_size=20), min_size=1, max_size=6)))
def test_any_text_gives_a_letter_of_the_options_or_nothing(text: str, options: list[str]) -> None:
    choice = parse_choice(text, options)
    assert choice is None or choice in letters(options)
    assert parse_choice(text, options) == choice


PIECES = [
    " ", "\n", "\t ", "a", "A ", "(A) ", "not A, ", "the answer is ", "answer to ", "answer: ", "<answer>", "<think>", "</think>",
    "\\boxed{", "{", "wait, ", "actually A ", "I thought ", "-", "if ", "it is ", "a red ", "a red car ", "but ", "option A or ",
    "neither A nor ", "B is the ", "*", ".", "<|", "I don't think ",
]  # fmt: skip


@pytest.mark.parametrize("piece", PIECES)
def test_long_texts_are_read_in_linear_time(piece: str) -> None:
    started = time.process_time()
    parse_choice(piece * (100_000 // len(piece)), OPTIONS)
    assert time.process_time() - started < 2, piece


def test_letters_stand_before_options() -> None:
    assert lettered(["x", "y"]) == ["(A) x", "(B) y"]
    with pytest.raises(ValueError, match="27 options"):
        letters(["x"] * 27)
