"""Models of random weights that always say the same."""

import io
import wave
from pathlib import Path

import numpy as np
import pytest

from bench import models
from bench.bare import BareLoop, samples_of

pytestmark = pytest.mark.real

SMALL = models.Shape(width=64, heads=2, layers=2)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("shape")
    models.build(path, SMALL)
    return path


@pytest.mark.parametrize("context", ["full", "auto"])
def test_every_clip_costs_the_same_number_of_tokens(directory: Path, context: str):
    """Whatever is heard, and however much of the window is encoded."""
    loop = BareLoop(directory, context)
    words = [f"w{number}" for number in range(models.WORDS)]
    for samples in (np.zeros(16_000, np.float32), np.random.default_rng(0).normal(0, 0.1, 80_000).astype(np.float32)):
        assert loop.transcribe(samples).split() == words


def test_samples_are_read_as_the_model_wants_them(tmp_path: Path):
    """Sixteen bits to floats within one."""
    file = io.BytesIO()
    with wave.open(file, "wb") as clip:
        clip.setnchannels(1)
        clip.setsampwidth(2)
        clip.setframerate(16_000)
        clip.writeframes(np.array([0, 16384, -32768], "<i2").tobytes())
    (tmp_path / "a.wav").write_bytes(file.getvalue())
    assert samples_of(str(tmp_path / "a.wav")).tolist() == [0.0, 0.5, -1.0]
