"""Words are checked as answers come in."""

from collections.abc import Callable
from io import StringIO

from loadtest.clips import Clip
from loadtest.outcome import Ending, Heading, Outcome, read
from loadtest.recorder import Checker, Recorder, Texts

CLIP = Clip("a.wav", "short", 4.0, "one two three", b"")
HEADING = Heading(scenario="mixed", url="", seed=1, mix="short", began_s=0.0)


def test_right_words_leave_no_trace_and_others_are_kept(outcome: Callable[..., Outcome]) -> None:
    """
    The record holds what was said and heard only where they differ.
    """
    checker = Checker(Texts.KNOWN)
    right = checker.checked(outcome(heard="One, 2, three."), CLIP)
    wrong = checker.checked(outcome(heard="one two"), CLIP)

    assert (right.heard, right.words) == ("", 3)
    assert (wrong.said, wrong.heard, wrong.words) == ("one two three", "one two", 3)


def test_no_words_at_all_are_other_words(outcome: Callable[..., Outcome]) -> None:
    """
    An empty transcript of a clip with speech is not mistaken for a right one.
    """
    assert Checker(Texts.KNOWN).checked(outcome(heard=""), CLIP).heard


def test_an_engine_that_makes_words_up_is_held_to_its_first_answer(outcome: Callable[..., Outcome]) -> None:
    """
    The same clip must give the same words: answers that were mixed up show.
    """
    checker = Checker(Texts.SAME)

    assert not checker.checked(outcome(heard="four four"), CLIP).heard
    assert not checker.checked(outcome(heard="four four"), CLIP).heard
    assert checker.checked(outcome(heard="five five"), CLIP).heard


def test_a_refusal_has_no_words_to_check(outcome: Callable[..., Outcome]) -> None:
    """
    Only answers can be wrong.
    """
    assert not Checker(Texts.KNOWN).checked(outcome(ending=Ending.SHED), CLIP).heard


def test_everything_is_written_down(outcome: Callable[..., Outcome]) -> None:
    """
    The record can be read back while the sums are kept for the pages.
    """
    file = StringIO()
    recorder = Recorder(file, HEADING, Checker(Texts.OFF))
    recorder.add(outcome(), CLIP)
    recorder.add(outcome(ending=Ending.SHED, why="503"), CLIP)

    assert [each.ending for each in read(file.getvalue().splitlines()).outcomes] == ["ok", "shed"]
    assert recorder.tallies["all"].counts == recorder.tallies["short"].counts == {"ok": 1, "shed": 1, "differ": 0}
