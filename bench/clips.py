"""Clips of real speech of a wanted length, and the forms that they are sent in, made before anything is timed."""

import secrets
import wave
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

RATE = 16_000
SAMPLES = Path(__file__).parent.parent / "samples"
NAMES = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")


class NoSamples(Exception):
    """The sample clips are not there: this is an installation without a checkout."""


@dataclass(frozen=True, slots=True)
class Form:
    """A multipart body, ready to be sent any number of times."""

    body: bytes
    content_type: str


def clips(seconds: float) -> list[bytes]:
    """A WAV file for each speaker: their digits, then silence up to the length. Raises NoSamples."""
    try:
        return [_filled(SAMPLES / f"digits-short-{name}.wav", seconds) for name in NAMES]
    except OSError as error:
        raise NoSamples(f"the sample clips cannot be read: {error}") from error


def trimmed() -> list[bytes]:
    """The clips as they are, 2.9 to 4.4 s. Raises NoSamples."""
    return clips(0)


def forms(files: list[bytes]) -> list[Form]:
    """A transcription request for each file."""
    return [form(file) for file in files]


def form(file: bytes) -> Form:
    """A transcription request."""
    boundary = secrets.token_hex(16)
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n'
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="clip.wav"\r\n'
        "Content-Type: audio/wav\r\n\r\n"
    )
    tail = f"\r\n--{boundary}--\r\n"
    return Form(head.encode() + file + tail.encode(), f"multipart/form-data; boundary={boundary}")


def _filled(path: Path, seconds: float) -> bytes:
    with wave.open(str(path)) as source:
        frames = source.readframes(source.getnframes())
    silence = bytes(max(0, 2 * round(seconds * RATE) - len(frames)))
    file = BytesIO()
    with wave.open(file, "wb") as clip:
        clip.setnchannels(1)
        clip.setsampwidth(2)
        clip.setframerate(RATE)
        clip.writeframes(frames + silence)
    return file.getvalue()
