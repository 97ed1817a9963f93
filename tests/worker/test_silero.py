"""The voice activity model."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from worker import silero
from worker.silero import Silero
from worker.speech import CHUNK

CLIP = Path(__file__).parents[2] / "samples" / "half-minute.wav"

pytestmark = pytest.mark.real


def test_steps_change_nothing(monkeypatch: pytest.MonkeyPatch):
    """A long clip taken in steps has the probabilities that it has in one go."""
    samples, _ = soundfile.read(CLIP, dtype="float32")
    whole = Silero().probabilities(samples, lambda: False)
    monkeypatch.setattr(silero, "STEP", 50 * CHUNK)
    assert np.allclose(Silero().probabilities(samples, lambda: False), whole, atol=1e-4)


def test_a_cancelled_clip_is_left_at_the_next_step(monkeypatch: pytest.MonkeyPatch):
    """Nobody computes an hour of probabilities for a caller who has gone."""
    monkeypatch.setattr(silero, "STEP", 10 * CHUNK)
    looks = iter([False, True])
    assert len(Silero().probabilities(np.zeros(100 * CHUNK, np.float32), lambda: next(looks))) == 10
