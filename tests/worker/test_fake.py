"""What only the scripted engine does."""

import io
import time

import pytest

from fleet.errors import BadAudio
from worker import fake
from worker.clip import AudioLimits
from worker.fake import ScriptedEngine
from worker.window import DecodeOptions, Piece


def test_any_bytes_are_audio():
    """32,000 bytes are a second."""
    assert fake.decode(io.BytesIO(b"no audio at all " * 4_000), AudioLimits()).duration_s == 2.0


def test_no_bytes_are_no_audio():
    """An empty file is refused as it is everywhere."""
    with pytest.raises(BadAudio) as refused:
        fake.decode(io.BytesIO(b""), AudioLimits())
    assert refused.value.code == "audio_empty"


def test_the_text_depends_on_every_byte():
    """So that mixed-up answers are seen."""
    one = fake.decode(io.BytesIO(b"\1\2" * 8_000), AudioLimits()).samples
    other = fake.decode(io.BytesIO(b"\1\2" * 7_999 + b"\1\3"), AudioLimits()).samples
    assert fake.text_of(one) == fake.text_of(one.copy())
    assert fake.text_of(one) != fake.text_of(other)


def test_a_clip_takes_its_time_and_no_longer_than_somebody_waits():
    """SECONDS in all; a cancelled window ends within a step."""
    engine, options = ScriptedEngine("fake:0.3", 0.3), DecodeOptions()
    clip = fake.decode(io.BytesIO(bytes(32_000)), AudioLimits()).samples
    pieces = [Piece(clip, window, options) for window in engine.plan(clip, options, lambda: False)]
    began = time.monotonic()
    for piece in pieces:
        engine.run([piece], lambda: False)
    assert time.monotonic() - began >= 0.3
    began = time.monotonic()
    ScriptedEngine("fake:300", 300).run(pieces[:1], lambda: time.monotonic() - began > 0.1)
    assert time.monotonic() - began < 10
