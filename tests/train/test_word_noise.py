"""Questions with word noise: the same words mostly, never none, and the same for the same random state."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from videorouter.train.data.word_noise import AS_WRITTEN, with_word_noise, words_of

QUESTION = "Look at the scene with the red circle: which symbol stands at the top left corner?"


@given(
    st.integers(),
    st.floats(0, 1),
    st.lists(st.text(st.sampled_from("abcdefghijklmnopqrstuvwxyz"), min_size=1), max_size=5),
)
def test_a_worn_question_is_never_empty_and_of_known_words_only(seed: int, left_out: float, others: list[str]) -> None:
    text = with_word_noise(Random(seed), QUESTION, left_out, others)
    assert text.strip("?.")
    known = {*words_of([QUESTION]), *words_of(others)}
    assert set(words_of([text])) <= known
    assert with_word_noise(Random(seed), QUESTION, left_out, others) == text


def test_about_the_stated_share_of_words_is_left_out_and_some_questions_stay() -> None:
    random = Random(0)
    texts = [with_word_noise(random, QUESTION, 0.2, []) for _ in range(2000)]
    written = sum(text == QUESTION for text in texts) / len(texts)
    assert abs(written - AS_WRITTEN) < 0.04
    kept = [len(words_of([text])) / len(words_of([QUESTION])) for text in texts if text != QUESTION]
    assert 0.77 < sum(kept) / len(kept) < 0.83
    assert any(text.startswith("Which symbol") for text in texts)


def test_a_question_of_one_clause_or_of_signs_alone_is_kept() -> None:
    assert with_word_noise(Random(1), "?", 0.5, []) == "?"
    assert with_word_noise(Random(3), "Why?", 1.0, []) == "Why?"
