"""
Hostile and broken audio: the exact answer to each, a worker process that lives, and the next good clip right.

The ids are rows of docs/catalogue.md.
"""

import contextlib
import gzip
import io
import os
import signal
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import pytest

from fleet.errors import BadAudio
from tests.hostile import files
from tests.worker import clips as make
from worker.clip import AudioLimits, Clip
from worker.sandbox import Sandbox

GOOD = make.encoded(files.SOUND, "flac", "flac")
MIB = 1 << 20
UNSUPPORTED, EMPTY, CORRUPT = "audio_unsupported", "audio_empty", "audio_corrupt"
LAYOUT, LONG = "audio_bad_layout", "audio_too_long"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """One for all rows: what one file breaks, the next one meets."""
    one = Sandbox()
    yield one
    assert one.deaths == 0
    assert peak_bytes(one) < 300 * MIB
    one.close()


def decode(sandbox: Sandbox, data: bytes, **limits: float) -> Clip:
    return sandbox.decode(io.BytesIO(data), AudioLimits(**limits))


def result(sandbox: Sandbox, data: bytes, **limits: float) -> str | float:
    """The code of the refusal, or the seconds decoded; afterwards a good clip is still heard right."""
    try:
        outcome: str | float = decode(sandbox, data, **limits).duration_s
    except BadAudio as refused:
        outcome = refused.code
    assert decode(sandbox, GOOD).duration_s == 2.0
    return outcome


def peak_bytes(sandbox: Sandbox) -> int:
    """The most memory that any of the children had."""
    lines = [Path(f"/proc/{cell.pid}/status").read_text() for cell in sandbox._idle]
    return max(int(text.split("VmHWM:")[1].split()[0]) * 1024 for text in lines)


def zipped(data: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("clip.wav", data)
    return out.getvalue()


def floats(value: float, share: float = 1.0) -> bytes:
    samples = np.zeros(16_000, "<f4")
    samples[: round(16_000 * share)] = value
    return make.wav(samples, tag=3)


def ogg(codec: str = "libopus", rate: int = 48_000, layout: str = "mono") -> bytes:
    return make.encoded(files.SOUND, "ogg", codec, rate, layout)


NOISE = np.random.default_rng(1).bytes(20_000)
ROWS = [
    ("A-01", b"Dear Sir or Madam,\n" * 100, UNSUPPORTED),
    ("A-01", b"<!doctype html><html><body>404</body></html>", UNSUPPORTED),
    ("A-01", NOISE, UNSUPPORTED),
    ("A-01", bytes(5_000), UNSUPPORTED),
    ("A-01", b"\xff" * 5_000, UNSUPPORTED),
    ("A-02", files.SOUND[:20], UNSUPPORTED),
    ("A-02", b"RIFF", UNSUPPORTED),
    ("A-02", files.riff(b""), UNSUPPORTED),
    ("A-02", files.riff(files.fmt(), fmt_claim=2**32 - 1), UNSUPPORTED),
    ("A-03", make.wav(make.tone(0)), EMPTY),
    ("A-03", make.wav(make.tone(0)) + b"\0", EMPTY),
    ("A-04", make.wav(make.tone(1), data_bytes=4_000_000_000), 1.0),
    ("A-04", make.wav(make.tone(1), data_bytes=0xFFFFFFFF), 1.0),
    ("A-06", floats(np.nan), CORRUPT),
    ("A-06", floats(np.inf), CORRUPT),
    ("A-06", floats(np.nan, 0.005), 1.0),
    ("A-07", make.encoded(files.SOUND, "wav", "pcm_s24le"), 2.0),
    ("A-07", make.encoded(files.SOUND, "wav", "pcm_f64le"), 2.0),
    ("A-07", make.encoded(files.SOUND, "wav", "pcm_mulaw"), 2.0),
    ("A-07", make.encoded(files.SOUND, "wav", "pcm_alaw"), 2.0),
    ("A-07", make.encoded(files.SOUND, "wav", "pcm_u8"), 2.0),
    ("A-08", files.riff(files.fmt(bits=0)), UNSUPPORTED),
    ("A-08", files.riff(files.fmt(tag=0x7777)), UNSUPPORTED),
    ("A-08", files.riff(files.fmt(align=0)), 1.0),
    ("A-10", make.wav(make.tone(2), 1), LAYOUT),
    ("A-12", make.wav(make.tone(2), 768_000), LAYOUT),
    ("A-12", make.wav(make.tone(2), 2**31 - 1), LAYOUT),
    ("A-14", files.lying_flac(samples=2**36 - 1), 2.0),
    ("A-14", files.lying_flac(rate=655_350), 2.0),
    ("A-15", make.wav(np.repeat(make.tone(1), 100), 16_000, 100), LAYOUT),
    ("A-15", files.riff(files.fmt(channels=65_535)), LAYOUT),
    ("A-15", files.riff(files.fmt(channels=0)), LAYOUT),
    ("A-15", make.wav(np.repeat(make.tone(1), 8), 16_000, 8), 1.0),
    ("A-16", files.id3(b"", 0x0FFFFFFF) + files.mp3(), UNSUPPORTED),
    ("A-16", files.id3(b"") * 20_000 + files.mp3(), pytest.approx(2.0, abs=0.1)),
    ("A-16", files.with_packed_tag(100 * MIB), pytest.approx(2.0, abs=0.1)),
    ("A-18", files.png(64), UNSUPPORTED),
    ("A-18", b"GIF89a" + files.SOUND, UNSUPPORTED),
    ("A-18", b"\xff\xd8\xff\xe0\0\x10JFIF\0" + NOISE, UNSUPPORTED),
    ("A-18", b";FFMETADATA1\ntitle=x\n", UNSUPPORTED),
    ("A-19", files.film(with_sound=False), "audio_no_stream"),
    ("A-19", files.film(with_sound=True), pytest.approx(1.0, abs=0.15)),
    ("A-21", ogg() + ogg(), pytest.approx(4.0, abs=0.1)),
    ("A-23", make.encoded(files.SOUND, "ipod", "aac"), pytest.approx(2.0, abs=0.15)),
    ("A-23", make.encoded(files.SOUND, "ipod", "aac")[:10_000], CORRUPT),
    ("A-24", gzip.compress(bytes(MIB)), UNSUPPORTED),
    ("A-24", zipped(files.SOUND), UNSUPPORTED),
    ("A-24", files.SOUND + zipped(b"x"), 2.0),
    ("A-24", b"<html></html>" + files.mp3(), pytest.approx(2.0, abs=0.1)),
    ("A-31", b'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"></MPD>', UNSUPPORTED),
    ("A-31", b"<asx version='3.0'><entry><ref href='file:///etc/passwd'/></entry></asx>", UNSUPPORTED),
    ("A-31", b"rtsp://127.0.0.1:9/canary.rm\n", UNSUPPORTED),
    ("A-31", b'<AssetMap xmlns="http://www.smpte-ra.org/schemas/429-9/2007/AM"></AssetMap>', UNSUPPORTED),
    ("A-31", b"# VobSub index file, v7\nid: en, index: 0\n", UNSUPPORTED),
]


@pytest.mark.parametrize(("row", "data", "expected"), ROWS, ids=[f"{row[0]}-{at}" for at, row in enumerate(ROWS)])
def test_row(sandbox: Sandbox, row: str, data: bytes, expected: str | float):
    """As the table says."""
    began = time.monotonic()
    assert result(sandbox, data) == expected
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(("container", "codec", "rate"), [("flac", "flac", 8_000), ("ogg", "libopus", 48_000)])
def test_a13_decompression_stops_at_the_limit(sandbox: Sandbox, container: str, codec: str, rate: int):
    """Silence packs ten-thousandfold: what counts is what comes out, while it comes out."""
    bomb = files.silence(container, codec, 1_200, rate)
    assert len(bomb) < 1_200 * 250  # bytes, for 77 MB of samples
    assert result(sandbox, bomb, max_s=600) == LONG


def test_a17_a_cover_is_never_decoded():
    """Opening MP3 with a huge picture costs no more than without."""
    sandbox = Sandbox()
    try:
        decode(sandbox, files.mp3())
        plain = peak_bytes(sandbox)
        assert abs(decode(sandbox, files.with_cover(12_000)).duration_s - 2) < 0.1
        assert peak_bytes(sandbox) - plain < 30 * MIB
    finally:
        sandbox.close()


@pytest.mark.parametrize(
    ("container", "codec", "rate", "least_s"),
    [
        ("mp3", "libmp3lame", 16_000, 8),
        ("ipod", "aac", 16_000, 8),
        ("flac", "flac", 16_000, 8),
        ("webm", "libopus", 48_000, 5),  # its clusters name their size: what follows the damage is not found again
    ],
)
def test_a20_damage_costs_what_is_damaged(sandbox: Sandbox, container: str, codec: str, rate: int, least_s: float):
    """And the answer says what was lost."""
    clip = decode(sandbox, files.damaged(make.encoded(make.repeated(files.SOUND, 5), container, codec, rate)))
    assert clip.duration_s > least_s
    assert clip.warnings[0].startswith("truncated")


def test_a22_a_chain_of_two_codecs_keeps_the_first(sandbox: Sandbox):
    """Or is refused as damaged; it is never a server error."""
    outcome = result(sandbox, ogg() + ogg("flac", 16_000))
    assert outcome == CORRUPT or float(outcome) >= 1.9


@pytest.mark.parametrize(
    "text",
    [
        "ffconcat version 1.0\nfile secret.wav\n",
        "ffconcat version 1.0\nfile '{path}'\n",
        "#EXTM3U\n#EXTINF:8,\nsecret.wav\n#EXT-X-ENDLIST\n",
        "#EXTM3U\n#EXTINF:8,\nfile://{path}\n#EXT-X-ENDLIST\n",
    ],
)
def test_a26_a28_no_file_is_opened(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str):
    """A list of files is a text like any other."""
    path = tmp_path / "secret.wav"
    path.write_bytes(files.SOUND)
    os.utime(path, (1, 1))
    monkeypatch.chdir(tmp_path)
    assert result(sandbox, text.format(path=path).encode()) == UNSUPPORTED
    assert path.stat().st_atime == 1


def test_a30_no_socket_is_opened(sandbox: Sandbox):
    """A session description would have FFmpeg listen for twenty seconds."""
    text = b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 40000 RTP/AVP 0\n"
    began = time.monotonic()
    assert result(sandbox, text) == UNSUPPORTED
    assert time.monotonic() - began < 15
    assert not [use for cell in sandbox._idle for use in psutil.Process(cell.pid).net_connections("inet")]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a34_a_child_that_dies_costs_its_file_only(number: signal.Signals):
    """It is replaced; the next file is decoded."""
    deaths: list[None] = []
    sandbox = Sandbox(on_death=lambda: deaths.append(None), stall_s=5)
    try:
        decode(sandbox, GOOD)
        (cell,) = sandbox._idle
        os.kill(cell.pid, signal.SIGSTOP)  # so that it has the file and not read it when it dies
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(result, sandbox, GOOD)
            while sandbox._idle:
                time.sleep(0.01)
            os.kill(cell.pid, number)
            with contextlib.suppress(ProcessLookupError):
                os.kill(cell.pid, signal.SIGCONT)  # who stands still dies of nothing but SIGKILL
            assert asked.result(30) == 2.0  # it may have been an operator's hand; a new child says what the file is
        assert [other.pid for other in sandbox._idle] != [cell.pid]
        assert len(deaths) == sandbox.deaths == 0
    finally:
        sandbox.close()


def test_a35_a_child_that_hangs_is_ended():
    """After the wall time, whatever it does; then the next file is decoded."""
    sandbox = Sandbox()
    try:
        assert decode(sandbox, GOOD).duration_s == 2.0
        (cell,) = sandbox._idle
        cell._stall_s = 0.3
        os.kill(cell.pid, signal.SIGSTOP)
        with pytest.raises(BadAudio) as refused:
            decode(sandbox, GOOD)
        assert (refused.value.code, sandbox.deaths) == (CORRUPT, 1)
        assert not psutil.pid_exists(cell.pid)
        assert decode(sandbox, GOOD).duration_s == 2.0
    finally:
        sandbox.close()
