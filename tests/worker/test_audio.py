"""Every format in, nothing hostile through."""

import io
import socket
import time
from pathlib import Path

import numpy as np
import pytest

from fleet.errors import BadAudio
from tests.worker import clips as make
from worker import audio
from worker.clip import AudioLimits, Clip

CLIP = (Path(__file__).parents[2] / "samples" / "phone-number-george.wav").read_bytes()
SECONDS = 8.756
FORMATS = [
    ("mp3", "libmp3lame", 44_100, "mono"),
    ("flac", "flac", 16_000, "mono"),
    ("ogg", "libopus", 48_000, "mono"),
    ("ipod", "aac", 44_100, "stereo"),
    ("mp4", "alac", 44_100, "mono"),
    ("webm", "libopus", 48_000, "stereo"),
    ("adts", "aac", 44_100, "mono"),
    ("wav", "pcm_mulaw", 8_000, "mono"),
    ("wav", "pcm_s24le", 48_000, "mono"),
    ("wav", "pcm_s16le", 44_100, "stereo"),
    ("wav", "pcm_f32le", 22_050, "mono"),
    ("wav", "pcm_u8", 8_000, "mono"),
    ("aiff", "pcm_s16be", 16_000, "mono"),
]


def decoded(data: bytes, **limits: float) -> Clip:
    return audio.decode(io.BytesIO(data), AudioLimits(**limits))


def code_of(data: bytes, **limits: float) -> str:
    with pytest.raises(BadAudio) as refused:
        decoded(data, **limits)
    return refused.value.code


@pytest.mark.parametrize(("container", "codec", "rate", "layout"), FORMATS)
def test_formats_keep_the_sound_and_its_length(container: str, codec: str, rate: int, layout: str):
    """Told by the bytes; the same sound comes out, at the same place, as from the original."""
    original, clip = decoded(CLIP).samples, decoded(make.encoded(CLIP, container, codec, rate, layout))
    assert abs(clip.duration_s - SECONDS) < 0.05
    assert clip.warnings == ()
    loudness = [
        np.sqrt(np.convolve(one[: len(original)] ** 2, np.ones(1600) / 1600)[: 8 * 16_000 : 160])
        for one in (original, clip.samples)
    ]
    assert np.corrcoef(*loudness)[0, 1] > 0.95


def test_high_tones_do_not_come_back_as_low_ones():
    """Resampling filters what 16 kHz cannot carry: 15 kHz must not alias to 1 kHz."""
    loud = make.wav(make.tone(1, 48_000, 15_000), 48_000)
    for data in (loud, make.encoded(loud, "flac", "flac", 48_000)):
        assert np.abs(decoded(data).samples[1_000:-1_000]).max() < 0.01


@pytest.mark.parametrize(
    ("container", "codec"), [("mp3", "libmp3lame"), ("flac", "flac"), ("ipod", "aac"), ("webm", "libopus")]
)
def test_a_damaged_middle_costs_the_middle_only(container: str, codec: str):
    """Packets after the damage are decoded, and the answer says that something was lost."""
    data = make.encoded(CLIP, container, codec, 48_000 if codec == "libopus" else 16_000)
    at = len(data) // 2
    clip = decoded(data[:at] + b"\x55" * 3_000 + data[at + 3_000 :])
    assert clip.duration_s > SECONDS * 0.7
    assert clip.warnings[0].startswith("truncated")


@pytest.mark.parametrize(("container", "codec"), [("flac", "flac"), ("webm", "libopus"), ("ipod", "aac")])
def test_less_than_half_is_damaged(container: str, codec: str):
    """Rather an error than the transcript of a part."""
    data = make.encoded(CLIP, container, codec, 48_000 if codec == "libopus" else 16_000)
    assert code_of(data[: len(data) // 3]) == "audio_corrupt"


@pytest.mark.parametrize(
    "data",
    [
        b"Dear Sir or Madam,\n" * 100,
        b"<html><body>404</body></html>",
        bytes(5_000),
        b"\xff" * 5_000,
        np.random.default_rng(0).bytes(20_000),
        b"RIFF",
        make.wav(make.tone(1))[:20],
        b"GIF89a" + make.wav(make.tone(1)),
        b"PK\x03\x04" + bytes(1_000),
    ],
)
def test_what_is_no_audio_is_unsupported(data: bytes):
    """One fixed message, and no word of the file's."""
    assert code_of(data) == "audio_unsupported"


def test_empty_files_and_headers_without_samples_are_empty():
    """Nothing, half a sample, or a header alone."""
    assert code_of(b"") == "audio_empty"
    assert code_of(make.wav(make.tone(0))) == "audio_empty"
    assert code_of(make.wav(make.tone(0)) + b"\0") == "audio_empty"


def test_a_film_without_sound_has_no_stream():
    """Told apart from a file that is no audio."""
    assert code_of(make.video_only()) in ("audio_no_stream", "audio_unsupported")


@pytest.mark.parametrize("claim", [0, 0xFFFFFFFF, 4_000_000_000])
def test_sizes_in_a_wav_header_are_claims(claim: int):
    """Streaming writers put in 0 or 4 GB: the data ends where the bytes do."""
    assert decoded(make.wav(make.tone(1), data_bytes=claim)).duration_s == 1.0


@pytest.mark.parametrize("rate", [1, 8, 3_999, 192_001, 768_000, 2**31 - 1])
def test_rates_that_no_recording_has_are_refused_at_once(rate: int):
    """A megabyte at 8 Hz would become gigabytes."""
    began = time.process_time()
    assert code_of(make.wav(make.tone(2), rate)) == "audio_bad_layout"
    assert time.process_time() - began < 1


@pytest.mark.parametrize(("channels", "is_good"), [(2, True), (8, True), (9, False), (100, False)])
def test_up_to_eight_channels_are_mixed_down(channels: int, is_good: bool):
    """More than eight is a mistake or an attack."""
    data = make.wav(np.repeat(make.tone(1), channels), 16_000, channels)
    if is_good:
        assert np.abs(decoded(data).samples - decoded(make.wav(make.tone(1))).samples).max() < 1e-3
    else:
        assert code_of(data) == "audio_bad_layout"


def test_no_channels_are_not_decoded():
    """Neither a division by zero nor a server error."""
    assert code_of(make.wav(make.tone(1), 16_000, 0)).startswith("audio_")


def test_too_long_is_noticed_while_decoding():
    """A small file may be hours long: decoding stops at the limit."""
    bomb = make.silent_flac(900)
    assert len(bomb) < 900 * 200
    assert code_of(bomb, max_s=60) == "audio_too_long"
    assert code_of(make.wav(make.tone(3)), max_s=2) == "audio_too_long"


def test_too_short_is_said():
    """MIN_AUDIO_S refuses; by default nothing is too short."""
    assert code_of(make.wav(make.tone(0.05)), min_s=0.1) == "audio_empty"
    assert decoded(make.wav(make.tone(0.05))).duration_s == 0.05


def test_samples_that_are_no_numbers_never_reach_the_model():
    """A few become silence with a warning; many are damage."""
    samples = np.zeros(16_000, "<f4")
    samples[7] = np.nan
    clip = decoded(make.wav(samples, tag=3))
    assert np.isfinite(clip.samples).all()
    assert clip.warnings[0].startswith("not-finite")
    samples[:8_000] = np.inf
    assert code_of(make.wav(samples, tag=3)) == "audio_corrupt"


def test_a_text_file_opens_no_other_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """An `ffconcat` script names a local file; it is not read."""
    (tmp_path / "secret.wav").write_bytes(CLIP)
    monkeypatch.chdir(tmp_path)
    assert code_of(b"ffconcat version 1.0\nfile secret.wav\n") == "audio_unsupported"
    assert code_of(b"#EXTM3U\n#EXTINF:8,\nsecret.wav\n#EXT-X-ENDLIST\n") == "audio_unsupported"


def test_a_text_file_opens_no_socket(monkeypatch: pytest.MonkeyPatch):
    """An SDP upload would make FFmpeg listen on a port of its choice for twenty seconds."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    began = time.monotonic()
    session = f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio {port} RTP/AVP 0\n"
    assert code_of(session.encode()) == "audio_unsupported"
    assert time.monotonic() - began < 15


def test_tags_in_any_encoding_are_no_damage():
    """Old files name their songs in Latin-1."""
    data = make.encoded(CLIP, "mp3", "libmp3lame")
    body = b"\x03Caf\xe9"  # says UTF-8, and is not
    frame = b"TIT2" + len(body).to_bytes(4) + b"\0\0" + body
    tag = b"ID3\x03\x00\x00" + bytes([0, 0, 0, len(frame)]) + frame
    assert decoded(tag + data).duration_s == pytest.approx(SECONDS, abs=0.1)
