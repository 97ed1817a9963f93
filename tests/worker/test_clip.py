"""What is refused before it can cost anything, and what counts as sound."""

import numpy as np
import pytest

from fleet.errors import BadAudio
from worker.clip import AudioLimits, check_layout, finished

LIMITS = AudioLimits(min_s=0.1, max_s=10.0)


def code_of(call) -> str:
    with pytest.raises(BadAudio) as refused:
        call()
    return refused.value.code


@pytest.mark.parametrize(("rate_hz", "channels"), [(1, 1), (3_999, 1), (192_001, 1), (16_000, 0), (16_000, 9)])
def test_layouts_that_no_recording_has_are_refused(rate_hz, channels):
    """A WAV that claims 1 Hz would become gigabytes when it is resampled."""
    assert code_of(lambda: check_layout(rate_hz, channels)) == "audio_bad_layout"


@pytest.mark.parametrize(("rate_hz", "channels"), [(4_000, 1), (192_000, 8), (44_100, 2)])
def test_layouts_that_recordings_have_pass(rate_hz, channels):
    """Telephones to studios."""
    check_layout(rate_hz, channels)


@pytest.mark.parametrize(("seconds", "code"), [(0, "audio_empty"), (0.05, "audio_empty"), (11, "audio_too_long")])
def test_lengths_outside_the_limits_are_named(seconds, code):
    """Too little and too much have codes of their own."""
    assert code_of(lambda: finished([np.zeros(int(16_000 * seconds), np.float32)], LIMITS)) == code


def test_a_few_samples_that_are_no_numbers_are_silenced_and_told():
    """The model never sees a NaN."""
    samples = np.ones(16_000, np.float32)
    samples[:50] = np.nan

    clip = finished([samples], LIMITS)

    assert np.isfinite(clip.samples).all()
    assert clip.warnings[0].startswith("not-finite")
    assert clip.duration_s == 1.0


def test_a_clip_that_is_mostly_no_numbers_is_refused():
    """Garbage in must not become text out."""
    assert code_of(lambda: finished([np.full(16_000, np.inf, np.float32)], LIMITS)) == "audio_corrupt"
