"""Probabilities -> turns."""

import random

from hypothesis import given
from hypothesis import strategies as st

from fleet import silero
from router.realtime.turns import CHUNK, LONGEST_S, RATE, Started, Stopped, Turns, in_chunks

LOUD, UNSURE, QUIET = 0.9, 0.4, 0.05


def chunks(seconds: float) -> int:
    return round(seconds * RATE / CHUNK)


def found(*parts: tuple[float, float], silence_ms: int = 500) -> list[Started | Stopped]:
    """What is decided over (seconds, probability) after each other."""
    turns = Turns(threshold=0.5, silence_ms=silence_ms)
    probabilities = [probability for seconds, probability in parts for _ in range(chunks(seconds))]
    return [one for one in map(turns.take, probabilities) if one is not None]


def test_a_chunk_is_what_the_model_makes_of_it():
    """Two files state its length, since one of them loads without numpy."""
    assert CHUNK == silero.CHUNK


def test_a_turn_begins_with_its_first_loud_chunk_and_ends_with_its_silence():
    """Where it began is known although it is announced three chunks later."""
    start, stop = found((1, QUIET), (2, LOUD), (1, QUIET))
    assert start == Started(chunks(1) * CHUNK)
    assert isinstance(stop, Stopped)
    assert abs(stop.at / RATE - 3.5) < 0.07


def test_two_turns_share_the_silence_between_them():
    """Each gets half, to the chunk: the second may begin softly, or on the very chunk that ended the first."""
    stop = found((1, LOUD), (1, QUIET))[1]
    assert isinstance(stop, Stopped)
    assert 0.22 * RATE < stop.at - stop.cut < 0.28 * RATE
    assert stop.cut % CHUNK == 0
    cut_short = found((40, LOUD))[1]
    assert isinstance(cut_short, Stopped)
    assert cut_short.cut == cut_short.at


def test_padding_is_whole_chunks():
    """Never less than was asked for."""
    assert [in_chunks(ms) for ms in (0, 1, 32, 33, 300)] == [0, CHUNK, CHUNK, 2 * CHUNK, 10 * CHUNK]


def test_the_caller_says_how_long_silence_lasts():
    """The same pause ends a turn or does not."""
    pause = (1, LOUD), (0.4, QUIET), (1, LOUD), (1, QUIET)
    assert len(found(*pause, silence_ms=200)) == 4
    assert len(found(*pause, silence_ms=500)) == 2


def test_a_click_is_not_speech():
    """Two chunks are none."""
    assert found((1, QUIET), (0.064, LOUD), (1, QUIET)) == []


def test_what_is_unsure_changes_nothing():
    """Between the two thresholds silence stays silence and speech stays speech."""
    assert found((5, UNSURE)) == []
    assert len(found((1, LOUD), (5, UNSURE))) == 1


def test_a_long_turn_ends_at_a_short_silence():
    """After 20 s a pause of 100 ms will do."""
    assert len(found((15, LOUD), (0.2, QUIET), (3, LOUD))) == 1
    assert len(found((21, LOUD), (0.2, QUIET), (3, LOUD))) == 3


@given(seed=st.integers(0, 10_000), silence_ms=st.integers(50, 3_000))
def test_turns_alternate_and_none_outlasts_the_model(seed: int, silence_ms: int):
    """Whatever the probabilities: begun, ended, begun; in order, without overlap, none over 30 s."""
    rng, level, probabilities = random.Random(seed), 0.5, []
    for _ in range(4000):
        level = min(1.0, max(0.0, level + rng.uniform(-0.2, 0.22)))
        probabilities.append((0.032, level))
    last, is_open = 0, False
    for one in found(*probabilities, silence_ms=silence_ms):
        assert isinstance(one, Stopped) is is_open
        assert one.at >= last
        assert not is_open or one.at - last <= LONGEST_S * RATE + CHUNK
        last, is_open = one.at, not is_open
