import functools
import io
import tempfile
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from hypothesis import example, given
from hypothesis import strategies as st

from router.duration import HEAD_BYTES, container_of, duration_s

SECONDS = 20
TONE = (np.sin(np.arange(16_000 * SECONDS) / 20) * 8000).astype(np.int16)

ENCODED = {  # container, codec, and how far off the estimate may be
    "mp3": ("mp3", 0.02),
    "mp4": ("aac", 0.02),
    "ogg": ("libopus", 0.35),
    "webm": ("libopus", 0.02),
}


@functools.cache
def encoded(container: str, codec: str) -> bytes:
    options = {"movflags": "faststart"} if container == "mp4" else {}  # the header in front, as recorders upload it
    with tempfile.NamedTemporaryFile() as file, av.open(file.name, "w", format=container, options=options) as output:
        stream = output.add_stream(codec, rate=48_000 if codec == "libopus" else 16_000, layout="mono")
        resampler = av.AudioResampler(format=stream.format, layout="mono", rate=stream.rate)
        frame = av.AudioFrame.from_ndarray(TONE.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 16_000, 0, Fraction(1, 16_000)
        for piece in (*resampler.resample(frame), *resampler.resample(None)):
            output.mux(stream.encode(piece))
        output.mux(stream.encode(None))
        output.close()
        return Path(file.name).read_bytes()


@pytest.mark.parametrize("container", ENCODED)
def test_compressed_containers_tell_their_length_in_the_first_64_kilobytes(container):
    """
    Real files by a real encoder, cut to the head that the router keeps.
    """
    codec, tolerance = ENCODED[container]
    body = encoded(container, codec)

    assert container_of(body) == container
    assert duration_s(body[:HEAD_BYTES], len(body)) == pytest.approx(SECONDS, rel=tolerance)


@pytest.mark.parametrize(("form", "subtype"), [("WAV", "PCM_16"), ("WAV", "ULAW"), ("FLAC", "PCM_16")])
def test_uncompressed_and_flac_are_exact(form, subtype):
    """
    Byte rate and sample count are in the header.
    """
    file = io.BytesIO()
    soundfile.write(file, TONE, 16_000, format=form, subtype=subtype)
    body = file.getvalue()

    assert duration_s(body[:HEAD_BYTES], len(body)) == pytest.approx(SECONDS, rel=0.001)


def test_a_header_that_claims_more_than_there_is_is_not_believed():
    """
    Streaming writers put 4 GB into the data chunk.
    """
    file = io.BytesIO()
    soundfile.write(file, TONE, 16_000, format="WAV", subtype="PCM_16")
    body = bytearray(file.getvalue())
    at = body.index(b"data") + 4
    body[at : at + 4] = b"\xff\xff\xff\xff"

    assert duration_s(bytes(body[:HEAD_BYTES]), len(body)) == pytest.approx(SECONDS, rel=0.001)


@pytest.mark.parametrize(
    ("container", "field", "forged"),
    [
        ("WAV", 28, (1).to_bytes(4, "little")),  # bytes a second
        ("FLAC", 21, b"\xff" * 5),  # samples, the last 36 bits of these
    ],
)
def test_a_small_file_does_not_hold_hours(container, field, forged):
    """
    Whatever its header says: others would be told to wait for it.
    """
    file = io.BytesIO()
    soundfile.write(file, TONE[:16_000], 16_000, format=container, subtype="PCM_16")
    body = bytearray(file.getvalue())
    assert duration_s(bytes(body), len(body)) == pytest.approx(1, rel=0.001)
    body[field : field + len(forged)] = forged
    assert duration_s(bytes(body), len(body)) is None


@pytest.mark.parametrize("size", range(0, 80, 3))
def test_a_head_that_is_cut_anywhere_raises_nothing(size):
    """
    A guess may fail; the request must not.
    """
    for container, (codec, _) in ENCODED.items():
        body = encoded(container, codec)[:size] if size < 7 else b"\xff\xfb\x90" + bytes(size)
        duration_s(body, 10_000)


@pytest.mark.parametrize(
    "head", [b"", b"RIFF", b"RIFF\0\0\0\0WAVEfmt ", b"fLaC", b"OggS", b"ID3", b"\xff\xfb", b"\x1aE\xdf\xa3\x44\x89"]
)
def test_hostile_heads_give_no_answer(head):
    """
    Nothing to read, nothing said.
    """
    assert duration_s(head, 1_000) is None


@given(
    st.sampled_from([b"RIFF\0\0\0\0WAVE", b"\0\0\0 ftyp", b"fLaC", b"OggS", b"\x1aE\xdf\xa3", b"ID3", b"\xff"]),
    st.lists(
        st.binary(max_size=20)
        | st.sampled_from(
            [b"fmt ", b"data", b"mvhd", b"OpusHead", b"\x01vorbis", b"\x44\x89\x88", b"\xff\xfb", b"Xing"]
        )
    ),
    st.integers(0, 10**12),
)
@example(b"\xff", [b"\xea\x90\x00", bytes(100)], 5_000)  # an MPEG version that is reserved
def test_no_head_raises_anything(magic, parts, size):
    """
    Whatever follows the magic number: the request would be answered with 500, and its worker never asked.
    """
    duration_s(b"".join([magic, *parts])[:HEAD_BYTES], size)
