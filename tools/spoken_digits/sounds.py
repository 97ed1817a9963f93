"""What a window is put together from: runs of digits, other speech, noise and music."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tools.spoken_digits.speech import Speech, resped
from tools.spoken_digits.tokens import RATE, WORDS


@dataclass
class Run:
    """Digits in one breath: words, where each begins and ends (None: unknown), the sound, and where a window has it."""

    words: list[str]
    spans: list[tuple[int, int]] | None
    sound: np.ndarray
    at: int = 0

    @property
    def end(self) -> int:
        return self.at + len(self.sound)


class Sounds:
    """Draws from the recordings, and makes noises of its own."""

    def __init__(self, speech: Speech, rng: np.random.Generator) -> None:
        self.speech, self.rng = speech, rng
        self.speakers, self.voices = list(speech.digits), list(speech.other)
        sizes = np.array([sum(map(len, speech.other[voice])) for voice in self.voices], float) ** 0.5
        self.voice_share = sizes / sizes.sum()  # large collections more often, but not in proportion
        self.noises = [self.coloured(bend) for bend in (0, 0.5, 0.5, 1, 1)] + [music(self.rng, 60) for _ in range(6)]

    def digit_run(self, room: int) -> Run:
        """A run of digits that mostly fits into `room` samples."""
        rng = self.rng
        if rng.random() < 0.15 and self.speech.strings and room > 3 * RATE:
            text, wave = self.speech.strings[rng.integers(len(self.speech.strings))]
            return Run(text.split(), None, resped(wave, rng.uniform(0.85, 1.15)) * rng.uniform(0.4, 1))
        one_voice = self.speakers[rng.integers(len(self.speakers))] if rng.random() < 0.9 else None
        pace, gap = rng.uniform(0.82, 1.2), rng.choice([0.02, 0.06, 0.12, 0.2, 0.25])
        words, spans, at = [], [], 0
        parts: list[np.ndarray] = []
        for _ in range(min(int(rng.choice([1, 1, 2, 3, 3, 3, 4, 4, 4, 5, 6, 10])), 1 + room // (RATE * 7 // 10))):
            digit = int(rng.integers(10))
            takes = self.speech.digits[one_voice or self.speakers[rng.integers(len(self.speakers))]][digit]
            word = resped(takes[rng.integers(len(takes))], pace * rng.uniform(0.95, 1.05)) * rng.uniform(0.7, 1)
            pause = np.zeros(int(RATE * gap * rng.uniform(0.3, 1.2)), np.float32)
            parts += [word, pause]
            words.append(WORDS[digit])
            spans.append((at, at + len(word)))
            at += len(word) + len(pause)
        return Run(words, spans, np.concatenate(parts[:-1]) * rng.uniform(0.4, 1))

    def other_speech(self, size: int) -> np.ndarray:
        """Up to `size` samples of one voice that says no digits; some of it digits played backwards."""
        rng, length = self.rng, 0
        parts: list[np.ndarray] = []
        voice = str(rng.choice(self.voices, p=self.voice_share)) if self.voices and rng.random() < 0.9 else None
        pace, most = rng.uniform(0.85, 1.15), rng.choice([0.05, 0.4, 1.0])
        speaker = self.speech.digits[self.speakers[rng.integers(len(self.speakers))]]
        while length < size:
            takes = self.speech.other[voice] if voice else speaker[int(rng.integers(8))]  # 8 and 9 stay alike backwards
            take = takes[rng.integers(len(takes))]
            part = resped(take if voice else take[::-1], pace)
            parts += [part, np.zeros(int(RATE * rng.uniform(0, most)), np.float32)]
            length += len(part) + len(parts[-1])
            if rng.random() < 0.12:
                break
        wave = np.concatenate(parts)
        start = int(rng.integers(0, len(wave) // 3)) if rng.random() < 0.3 else 0  # begins in the middle of a word
        return wave[start : start + size] * rng.uniform(0.3, 1)

    def coloured(self, bend: float) -> np.ndarray:
        """A minute of white (0), pink (0.5) or brown (1) noise of unit power."""
        spectrum = np.fft.rfft(self.rng.standard_normal(60 * RATE))
        noise = np.fft.irfft(spectrum / np.maximum(np.arange(len(spectrum)), 1_000 * bend + 1) ** bend)
        return (noise / noise.std()).astype(np.float32)

    def noise(self, length: int, kinds: int = 5) -> np.ndarray:
        bank = self.noises[self.rng.integers(kinds)]
        start = int(self.rng.integers(0, len(bank) - length))
        return bank[start : start + length]


def music(rng: np.random.Generator, seconds: int) -> np.ndarray:
    """Chords of decaying harmonics, some with a beat of noise; and now and then telephone tones."""
    wave = np.zeros(seconds * RATE, np.float32)
    at, beat = 0, rng.uniform(0.15, 0.6)
    while at < len(wave):
        size = min(len(wave) - at, int(RATE * beat * rng.choice([1, 1, 2, 4])))
        time_s = np.arange(size) / RATE
        for pitch in rng.choice(24, rng.integers(1, 4)):
            hz, fade = 110 * 2 ** (pitch / 12), rng.uniform(0.5, 6)
            for harmonic in range(1, int(rng.integers(2, 8))):
                wave[at : at + size] += (
                    np.sin(2 * np.pi * hz * harmonic * time_s + rng.uniform(0, 6)) * np.exp(-fade * time_s) / harmonic
                )
        if rng.random() < 0.3:
            wave[at : at + size] += rng.standard_normal(size) * np.exp(-20 * time_s)
        at += size
    return wave / wave.std()
