"""Bytes of a session -> samples."""

import io

import numpy as np
import pytest
import soundfile

from router.realtime.config import Encoding
from router.realtime.pcm import A_LAW, MU_LAW, Decoder
from router.realtime.track import RATE

DITHER = 2  # the resampler rounds at random


def tone(rate: int) -> np.ndarray:
    return (10_000 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate)).astype("<i2")


def decoded(encoding: Encoding, data: bytes, piece: int) -> np.ndarray:
    decoder = Decoder(encoding)
    pieces = [decoder.feed(data[at : at + piece]) for at in range(0, len(data), piece)]
    return np.concatenate([*pieces, decoder.finish()])


@pytest.mark.parametrize(("subtype", "table"), [("ULAW", MU_LAW), ("ALAW", A_LAW)])
def test_g711_is_what_others_make_of_it(subtype: str, table: np.ndarray):
    """All 256 bytes, as libsndfile reads them."""
    raw = {"format": "RAW", "samplerate": 8000, "channels": 1}
    theirs, _ = soundfile.read(io.BytesIO(bytes(range(256))), dtype="int16", subtype=subtype, **raw)
    assert (theirs == table).all()


def test_a_tone_stays_a_tone():
    """A second of it, at 16 kHz, as loud and as high, from each encoding."""
    raw = io.BytesIO()
    soundfile.write(raw, tone(8000), 8000, format="RAW", subtype="ALAW")
    alaw = raw.getvalue()
    for encoding, data in [(Encoding.PCM, tone(24_000).tobytes()), (Encoding.PCMA, alaw)]:
        samples = decoded(encoding, data, 1000)
        assert len(samples) == RATE
        assert abs(int(np.abs(samples).max()) - 10_000) < 300
        assert np.abs(np.fft.rfft(samples)).argmax() == 440


@pytest.mark.parametrize("piece", [1, 2, 999])
def test_a_sample_may_come_in_halves(piece: int):
    """Odd pieces give what whole ones do."""
    data = tone(24_000)[:2000].tobytes()
    whole = decoded(Encoding.PCM, data, len(data)).astype(int)
    assert np.abs(decoded(Encoding.PCM, data, piece) - whole).max() <= DITHER


def test_the_half_of_a_sample_does_not_meet_the_next_stream():
    """After the end of one, the next begins at a whole sample."""
    decoder = Decoder(Encoding.PCM)
    decoder.feed(b"\x01\x02\x03")
    decoder.finish()
    assert np.abs(np.concatenate([decoder.feed(bytes(3000)), decoder.finish()])).max() <= DITHER
