"""Plain PCM WAV, read by hand."""

import io
import struct

import numpy as np
import pytest

from fleet.errors import BadAudio
from tests.worker import clips as make
from worker import wav
from worker.clip import AudioLimits


def test_other_chunks_before_the_data_are_passed_over():
    """Editors write LIST and fact chunks, of odd lengths too."""
    plain = make.wav(make.tone(1))
    chunk = b"LIST" + struct.pack("<I", 5) + b"hello\0"
    source = io.BytesIO(plain[:12] + chunk + plain[12:])
    header = wav.read_header(source)
    assert header is not None
    assert wav.decode(source, header, AudioLimits()).duration_s == 1.0


def test_samples_are_scaled_to_one():
    """Full scale is 1, in integers and floats alike."""
    for samples, tag in ((np.array([-32768, 0, 16384], "<i2"), 1), (np.array([-1, 0, 0.5], "<f4"), 3)):
        source = io.BytesIO(make.wav(samples, tag=tag))
        header = wav.read_header(source)
        assert header is not None
        assert wav.decode(source, header, AudioLimits()).samples.tolist() == [-1.0, 0.0, 0.5]


def test_bare_samples_need_no_header_and_may_have_one():
    """16 kHz, mono, 16 bits; the half of a sample at the end is dropped."""
    samples = make.tone(1)
    for data in (samples.tobytes(), samples.tobytes() + b"\0", make.wav(samples)):
        clip = wav.decode_raw(io.BytesIO(data), AudioLimits())
        assert np.array_equal(clip.samples, samples.astype(np.float32) / 32768)
    with pytest.raises(BadAudio) as refused:
        wav.decode_raw(io.BytesIO(samples.tobytes()), AudioLimits(max_s=0.5))
    assert refused.value.code == "audio_too_long"


@pytest.mark.parametrize("tag", [2, 6, 7, 0x55])
def test_everything_but_plain_pcm_is_left_to_the_other_decoder(tag: int):
    """Compressed WAV is not parsed here."""
    assert wav.read_header(io.BytesIO(make.wav(make.tone(1), tag=tag))) is None


def test_a_header_of_chunks_without_end_is_given_up():
    """Thousands of empty chunks cost nothing."""
    plain = make.wav(make.tone(1))
    assert wav.read_header(io.BytesIO(plain[:12] + b"JUNK\0\0\0\0" * 10_000 + plain[12:])) is None
