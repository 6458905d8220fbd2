"""The parser gets the listed cases right, and never guesses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routers.answers import lettered, letters, parse_choice

OPTIONS = ["a blue boat", "a red car", "a green tree", "a dog", "two cats"]


@pytest.mark.parametrize(
    "text",
    [
        "B",
        "(B)",
        "B.",
        "The answer is B",
        "Best option: (B) a red car",
        "**B**",
        "b",
        "B) a red car",
        "Answer: B",
        "a red car",
        "It is a red car.",
    ],
)
def test_ways_to_say_b(text: str) -> None:
    assert parse_choice(text, OPTIONS) == "B"


@pytest.mark.parametrize("text", ["", "   ", "A or B", "(A) or (B)", "I cannot tell", "Z", "a boat or a car"])
def test_what_says_no_single_option_is_unparsed(text: str) -> None:
    assert parse_choice(text, OPTIONS) is None


def test_a_sentence_that_starts_with_the_article_is_not_option_a() -> None:
    assert parse_choice("A red car drives by", OPTIONS) == "B"
    assert parse_choice("A small plane", OPTIONS) is None


def test_options_beyond_d_are_read() -> None:
    assert parse_choice("E", OPTIONS) == "E"
    assert parse_choice("F", OPTIONS) is None


def test_an_option_inside_a_longer_one_is_not_meant() -> None:
    assert parse_choice("the very red car it was", ["red", "very red car"]) == "B"


@given(st.text(max_size=80), st.lists(st.text(min_size=1, max_size=20), min_size=1, max_size=6))
def test_any_text_gives_a_letter_of_the_options_or_nothing(text: str, options: list[str]) -> None:
    choice = parse_choice(text, options)
    assert choice is None or choice in letters(options)
    assert parse_choice(text, options) == choice


def test_letters_stand_before_options() -> None:
    assert lettered(["x", "y"]) == ["(A) x", "(B) y"]
    with pytest.raises(ValueError, match="27 options"):
        letters(["x"] * 27)
