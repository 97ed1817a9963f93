"""Features of long clips: the same numbers as all at once, in a fraction of the memory."""

import tracemalloc

import numpy as np
import pytest
from faster_whisper.feature_extractor import FeatureExtractor

from worker.features import BLOCK, HOP, Features

MINUTE = BLOCK * HOP


def noise(length: int) -> np.ndarray:
    """Loud and quiet stretches, so that the loudest frame of one block is not that of the clip."""
    rng = np.random.default_rng(length)
    loudness = np.repeat(rng.uniform(0.0001, 1, length // 8000 + 1), 8000)[:length]
    return (rng.normal(0, 0.2, length) * loudness).astype(np.float32)


@pytest.mark.parametrize(
    "length",
    [1, 300, 16_000, MINUTE - 161, MINUTE - 160, MINUTE - 1, MINUTE, MINUTE + 1, MINUTE + 400, 2 * MINUTE + 12_345],
)
def test_minutes_put_together_are_the_whole(length: int):
    """Frame by frame, at every seam and at the end."""
    samples, plain = noise(length), FeatureExtractor()
    ours, theirs = Features(FeatureExtractor())(samples), plain(samples)
    assert ours.shape == theirs.shape
    assert np.allclose(ours, theirs, atol=1e-4)


def test_it_has_all_that_the_extractor_has():
    """faster-whisper asks it for its figures, and sets some by calling it."""
    features = Features(FeatureExtractor())
    features(noise(1000), chunk_length=20)
    assert (features.hop_length, features.nb_max_frames, features.n_samples) == (160, 2000, 320_000)


def test_a_long_clip_takes_little_beside_its_features():
    """All at once it takes ten times as much."""
    samples = noise(4 * MINUTE)

    def peak(extract) -> int:
        tracemalloc.start()
        extract(samples)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    assert peak(Features(FeatureExtractor())) < 0.5 * peak(FeatureExtractor())
