"""What is told of live speech; `bench --only live` measures it."""

from collections import defaultdict

from bench.live import SENT_RATE, SILENCE_S, Wait, bars, is_all_said, read


def test_figures_are_told_by_the_silence_that_ends_a_turn():
    """The limit is for the end of the turn; the last sound and the first text stand beside it."""
    quick = [Wait(first=900, sound=500 + number, turn=number) for number in range(100)]
    none = Wait(first=None, sound=800, turn=300)
    told = bars("one who speaks", {500: quick, 200: [none]})
    assert [bar.measured for bar in told] == [94, 300, 900]
    assert [bar.is_met() for bar in told] == [True] * 3
    assert "500 ms of silence" in told[0].what
    assert "in 100 of 101 turns" in told[2].detail
    assert len(bars("nobody", {200: [none]})) == 1


def test_a_clip_is_its_speech_and_silence_behind_it():
    """As long as the microphone stays on, at the rate of the protocol."""
    speeches = read()
    assert len(speeches) == 6
    for speech in speeches:
        assert 0 < speech.begins_s < speech.ends_s
        assert abs(len(speech.pcm) / 2 / SENT_RATE - speech.ends_s - SILENCE_S) < 0.01


def test_the_end_is_when_the_last_turn_has_its_text():
    """Not before all of the audio was heard, whatever came early."""
    heard = defaultdict(list, committed=[1.0], completed=[1.1])
    assert not is_all_said(heard)
    heard["cleared"] = [2.0]
    assert is_all_said(heard)
    heard["committed"].append(2.0)
    assert not is_all_said(heard)
