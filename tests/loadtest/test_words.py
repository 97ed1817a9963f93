"""What was said against what was heard."""

import pytest

from loadtest.words import word_errors, words_of


@pytest.mark.parametrize("text", ["seven three one", "7-3-1.", "731", " Seven, three; ONE!"])
def test_spelling_is_no_error(text: str) -> None:
    """
    Models write digits as they like.
    """
    assert words_of(text) == ["seven", "three", "one"]


def test_apostrophes_stay_in_their_word() -> None:
    """
    "don't" is one word.
    """
    assert words_of("I don't, Dr. Ünal!") == ["i", "don't", "dr", "ünal"]


@pytest.mark.parametrize(
    ("said", "heard", "errors"),
    [("a b c", "a b c", 0), ("a b c", "a x c", 1), ("a b c", "a c", 1), ("a b", "a b c d", 2), ("a b", "", 2)],
)
def test_words_put_in_left_out_and_changed_are_errors(said: str, heard: str, errors: int) -> None:
    """
    Each of the three counts once.
    """
    assert word_errors(said.split(), heard.split()) == errors
