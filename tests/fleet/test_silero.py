"""The voice activity model."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from fleet.silero import CHUNK, Ear, Silero

CLIP = Path(__file__).parents[2] / "samples" / "digits-short-theo.wav"

pytestmark = pytest.mark.real


def test_a_stream_in_odd_pieces_is_heard_like_a_whole_clip():
    """Pieces of any length, shorter and longer than a chunk: the same probabilities, each as soon as it can be."""
    samples, _ = soundfile.read(CLIP, dtype="float32")
    model, found, position = Silero(), [], 0
    pieces = Ear(model)
    for length in [1, 700, 511, 3, 5000, 0, 512, len(samples)]:
        found += pieces.hear(samples[position : position + length])
        position = min(position + length, len(samples))
        assert len(found) == position // CHUNK
    assert np.allclose(found, Ear(model).hear(samples), atol=1e-4)


def test_speech_is_told_from_silence():
    """The clip speaks from 0.25 s to 3.3 s."""
    samples, rate = soundfile.read(CLIP, dtype="float32")
    heard = Ear(Silero()).hear(samples)
    assert max(heard) > 0.9
    assert max(heard[round(3.8 * rate / CHUNK) :]) < 0.2
