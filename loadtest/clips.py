"""
Clips whose words are known: the samples, and longer ones made of them with pauses between.

A mix says how many of each kind stand in a deck. Clips are dealt from shuffled decks rather than drawn: after every
deck the shares are exact, so a rare long clip does not make two runs of a minute differ by half.
"""

import json
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from random import Random

RATE = 16_000
PAUSE_S = 0.8
SAMPLES = Path(__file__).parent.parent / "samples"

SHORT, MEDIUM, LONG = "short", "medium", "long"
MIXES = {
    "short": {SHORT: 1},
    "mixed": {SHORT: 16, MEDIUM: 3, LONG: 1},
    "medium": {MEDIUM: 1},
    "long": {LONG: 1},
}
VARIANTS = 3  # different clips of each longer kind


class NoClips(Exception):
    """The folder has no clips with known words."""


@dataclass(frozen=True, slots=True)
class Clip:
    """A WAV file (16 kHz, mono, 16 bit) and the words in it."""

    name: str
    kind: str
    audio_s: float
    text: str
    wav: bytes


def load(folder: Path, *, medium_s: float, long_s: float, seed: int) -> dict[str, list[Clip]]:
    """The clips of every kind; the same seed makes the same ones. Raises NoClips."""
    shorts = _samples(folder)
    rng = Random(seed)  # noqa: S311  a plan, not a secret
    return {
        SHORT: shorts,
        MEDIUM: [_joined(f"medium-{number}", MEDIUM, shorts, medium_s, rng) for number in range(VARIANTS)],
        LONG: [_joined(f"long-{number}", LONG, shorts, long_s, rng) for number in range(VARIANTS)],
    }


def dealt(clips: dict[str, list[Clip]], mix: str, rng: Random) -> Iterator[Clip]:
    """Clips for ever, in the shares of the mix."""
    deck = [kind for kind, count in MIXES[mix].items() for _ in range(count)]
    while True:
        rng.shuffle(deck)
        for kind in deck:
            yield rng.choice(clips[kind])


def _samples(folder: Path) -> list[Clip]:
    """The samples of up to ten seconds."""
    try:
        entries = json.loads((folder / "texts.json").read_text())
    except OSError as error:
        raise NoClips(f"no clips with known words: {folder / 'texts.json'} cannot be read (SAMPLES)") from error
    short = [entry for entry in entries if entry["duration_s"] <= 10]
    return [
        Clip(entry["file"], SHORT, entry["duration_s"], entry["text"], (folder / entry["file"]).read_bytes())
        for entry in short
    ]


def _joined(name: str, kind: str, parts: list[Clip], length_s: float, rng: Random) -> Clip:
    """Samples and pauses until the length is reached."""
    pause = bytes(2 * int(RATE * PAUSE_S))
    frames, texts = bytearray(), []
    while len(frames) < 2 * RATE * length_s:
        part = rng.choice(parts)
        texts.append(part.text)
        frames += _frames(part.wav) + pause
    return Clip(name, kind, len(frames) / 2 / RATE, " ".join(texts), _wav(bytes(frames)))


def _frames(wav: bytes) -> bytes:
    with wave.open(BytesIO(wav)) as clip:
        frames: bytes = clip.readframes(clip.getnframes())
        return frames


def _wav(frames: bytes) -> bytes:
    file = BytesIO()
    with wave.open(file, "wb") as clip:
        clip.setnchannels(1)
        clip.setsampwidth(2)
        clip.setframerate(RATE)
        clip.writeframes(frames)
    return file.getvalue()
