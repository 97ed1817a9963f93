"""Guesses -> text that stays."""

from hypothesis import given
from hypothesis import strategies as st

from router.realtime.draft import Draft, Pace

GUESSES = st.lists(st.text(alphabet="ab \u3042\u6f22", max_size=12), max_size=8)


def test_only_what_two_guesses_agree_on_is_shown():
    """The last word of a guess is often cut off, so it waits for the next one."""
    draft = Draft()
    assert draft.guess("seven thr") == ""
    assert draft.guess("seven three fo") == "seven"
    assert draft.guess("seven three four") == " three"
    assert draft.finish("seven three four") == " four"


def test_what_was_shown_is_not_taken_back():
    """A guess that starts otherwise shows nothing, and neither does a final text that does."""
    draft = Draft()
    assert [draft.guess("seven one"), draft.guess("seven one")] == ["", "seven one"]
    assert [draft.guess("eleven two"), draft.guess("eleven two")] == ["", ""]
    assert draft.finish("eleven two") == ""


def test_scripts_without_spaces_are_compared_letter_by_letter():
    """A Japanese sentence is one word to who looks for spaces."""
    draft = Draft()
    draft.guess("今日は天木")
    assert draft.guess("今日は天気です") == "今日は天"


@given(guesses=GUESSES, final=st.text(alphabet="ab \u3042\u6f22", max_size=12))
def test_deltas_add_up(guesses: list[str], final: str):
    """To what was shown; and to the final text, if it begins with that."""
    draft = Draft()
    shown = "".join(draft.guess(guess) for guess in guesses)
    assert shown == draft.shown
    whole = shown + draft.finish(final)
    assert whole == (final if final.startswith(shown) else shown)


def test_guesses_keep_their_pace():
    """One at a time, every half second at most, and never more than half of the time."""
    pace = Pace(0.5)
    assert pace.is_due(10)
    pace.begin(10)
    assert not pace.is_due(12)
    pace.end(10.1)
    assert not pace.is_due(10.4)
    assert pace.is_due(10.5)
    pace.begin(20)
    pace.end(23)
    assert not pace.is_due(25.9)
    assert pace.is_due(26)
