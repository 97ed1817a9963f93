"""Probabilities -> regions -> windows."""

import random
from dataclasses import replace
from pathlib import Path

import faster_whisper.vad as reference
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from worker import speech
from worker.silero import Silero
from worker.speech import CHUNK
from worker.window import RATE, WINDOW_S, Region, VadOptions

SAMPLES = Path(__file__).parents[2] / "samples"
OPTIONS = VadOptions(threshold=0.5, min_speech_ms=60, max_speech_s=30, min_silence_ms=400, speech_pad_ms=200)


def chunks(seconds: float) -> int:
    return round(seconds * RATE / CHUNK)


def spoken(*parts: tuple[float, float]) -> list[float]:
    """Probabilities for (seconds of silence, seconds of speech) after each other."""
    return [p for quiet, loud in parts for p in [0.01] * chunks(quiet) + [0.99] * chunks(loud)]


def test_silence_has_no_regions():
    """Nothing is found where nothing is said."""
    assert speech.regions([0.1] * 500, 500 * CHUNK, OPTIONS) == []


def test_regions_know_speech_with_and_without_padding():
    """Padding is added on both sides and the bare speech is kept."""
    found = speech.regions([*spoken((1, 1)), *spoken((1, 0))], chunks(3) * CHUNK, OPTIONS)
    assert len(found) == 1
    assert found[0].speech_start == chunks(1) * CHUNK
    assert found[0].speech_start - found[0].start == RATE // 5
    assert found[0].end - found[0].speech_end == RATE // 5


def test_short_silence_does_not_end_speech():
    """Only a silence of MIN_SILENCE_DURATION_MS ends a region."""
    probabilities = [*spoken((0.5, 1), (0.3, 1), (0.6, 1)), *spoken((1, 0))]
    assert len(speech.regions(probabilities, len(probabilities) * CHUNK, OPTIONS)) == 2


def test_a_click_is_not_speech():
    """Speech shorter than MIN_SPEECH_DURATION_MS is dropped."""
    probabilities = [*spoken((1, 0.04)), *spoken((1, 0))]
    assert speech.regions(probabilities, len(probabilities) * CHUNK, OPTIONS) == []


def test_long_speech_is_cut_at_its_last_short_silence():
    """A region that would grow past MAX_SPEECH_DURATION_S ends at the pause before, not in a word."""
    probabilities = spoken((0, 4), (0.2, 4), (0.2, 4))
    found = speech.regions(probabilities, len(probabilities) * CHUNK, replace(OPTIONS, max_speech_s=10))
    assert len(found) == 2
    assert abs(found[0].speech_end / RATE - 8.2) < 0.1
    assert found[1].speech_start >= found[0].speech_end


@pytest.mark.parametrize("max_s", [0.5, 0.8, 1, 2])
@pytest.mark.parametrize("pad_ms", [0, 400, 5_000])
def test_speech_that_is_cut_short_is_not_lost(max_s: float, pad_ms: int):
    """Half a second less the padding of a general model would be too short to keep, and everything was dropped."""
    options = replace(OPTIONS, min_speech_ms=250, max_speech_s=max_s, speech_pad_ms=pad_ms)
    found = speech.regions([0.99] * chunks(10), chunks(10) * CHUNK, options)
    heard = sum(region.speech_end - region.speech_start for region in found)
    assert heard >= (10 - 0.3) * RATE


@given(seed=st.integers(0, 10_000), count=st.integers(0, 4_000), max_s=st.floats(0.5, 30), pad_ms=st.integers(0, 1_000))
def test_regions_are_ordered_and_inside_the_clip(seed: int, count: int, max_s: float, pad_ms: int):
    """Whatever the probabilities: no overlap, inside the clip, none longer than a window."""
    rng, level, probabilities = random.Random(seed), 0.5, []
    for _ in range(count):
        level = min(1.0, max(0.0, level + rng.uniform(-0.3, 0.3)))
        probabilities.append(level)
    length = max(0, count * CHUNK - rng.randrange(CHUNK))
    found = speech.regions(probabilities, length, replace(OPTIONS, max_speech_s=max_s, speech_pad_ms=pad_ms))
    last = 0
    for region in found:
        assert last <= region.start <= region.speech_start < region.speech_end <= region.end <= length
        last = region.end
    for merge in (True, False):
        windows = speech.windows(found, merge=merge)
        assert [region for window in windows for region in window.regions] == found
        assert all(window.end - window.start <= WINDOW_S * RATE for window in windows)
        assert [window.is_first for window in windows] == [True] * bool(windows) + [False] * (len(windows) - 1)


def test_merging_packs_regions_into_as_few_windows_as_hold_them():
    """Three regions within 30 s share a window; the one beyond starts its own."""
    found = [Region(at * RATE, (at + 5) * RATE, at * RATE, (at + 5) * RATE) for at in (0, 10, 20, 30)]
    assert [len(window.regions) for window in speech.windows(found, merge=True)] == [3, 1]
    assert [len(window.regions) for window in speech.windows(found, merge=False)] == [1, 1, 1, 1]


@pytest.mark.real
@pytest.mark.parametrize("threshold", [0.4, 0.5])
def test_regions_are_those_of_silero_itself(threshold: float):
    """On real speech the regions are, to the sample, those of faster-whisper's own function."""
    options = replace(OPTIONS, threshold=threshold)
    for path in sorted(SAMPLES.glob("*.wav")):
        samples, _ = soundfile.read(path, dtype="float32")
        probabilities = Silero().probabilities(samples, lambda: False)
        ours = [(one.start, one.end) for one in speech.regions(probabilities, len(samples), options)]
        theirs = reference.get_speech_timestamps(
            samples,
            reference.VadOptions(
                threshold=threshold, min_speech_duration_ms=60, min_silence_duration_ms=400, speech_pad_ms=200
            ),
        )
        assert ours == [(one["start"], one["end"]) for one in theirs], path.name
