"""Recordings of digits by speaker, made voices, and speech without digits."""

from __future__ import annotations

import gc
import io
import random
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile as sf
import soxr
from faster_whisper.audio import decode_audio

from tools.spoken_digits.tokens import RATE, WORDS

HELD_OUT = range(5)  # recording indices never trained on
NEAR_WORDS = """
nice mine line fine wine fly sick fix free tree sea run sun fun hero hello yes no stop go left right up down hey hate
late gate fire find hive store door more floor through heaven eleven nothing fortune weight late Friday sir row sea even
night knife true threw flew do who
""".split()  # sound somewhat like digits and are none


@dataclass
class Speech:
    """Recordings by speaker and digit, connected synthetic digits, and speech without digits by voice."""

    digits: dict[str, dict[int, list[np.ndarray]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )
    strings: list[tuple[str, np.ndarray]] = field(default_factory=list)
    other: dict[str, list[np.ndarray]] = field(default_factory=lambda: defaultdict(list))
    held_out: list[tuple[int, str, np.ndarray]] = field(default_factory=list)


def synthesize(text: str, rng: random.Random) -> np.ndarray:
    """One utterance by a random espeak-ng or flite voice, float32 at 16 kHz, trimmed of silence."""
    if rng.random() < 0.5:
        voice = rng.choice(["en", "en-us", "en-gb-scotland", "en-gb-x-rp", "en-029", "en-gb-x-gbclan"])
        voice += rng.choice(["", *(f"+m{i}" for i in range(1, 8)), *(f"+f{i}" for i in range(1, 6))])
        command = [
            "espeak-ng",
            "-v",
            voice,
            "-s",
            str(rng.randint(110, 210)),
            "-p",
            str(rng.randint(20, 80)),
            "--stdout",
            text,
        ]
    else:
        command = [
            "flite",
            "-voice",
            rng.choice(["awb", "kal16", "rms", "slt"]),
            "--setf",
            f"duration_stretch={rng.uniform(0.8, 1.3)}",
            "-t",
            text,
            "-o",
            "/dev/stdout",
        ]
    wave, rate = sf.read(io.BytesIO(subprocess.run(command, capture_output=True, check=True).stdout), dtype="float32")
    wave = soxr.resample(wave, rate, RATE)
    loud = np.flatnonzero(np.abs(wave) > 0.02 * np.abs(wave).max())
    return wave[max(0, loud[0] - 160) : loud[-1] + 320]


def sentences(count: int, rng: random.Random) -> list[str]:
    """Plain English without digit words, from the standard library's own documentation, and lone words like digits."""
    import argparse
    import datetime
    import decimal
    import email
    import logging
    import statistics
    import subprocess
    import threading
    import typing

    modules = (argparse, datetime, decimal, email, logging, statistics, subprocess, threading, typing)
    words = " ".join(str(v.__doc__) for m in modules for v in vars(m).values() if v.__doc__)
    plain = [
        w
        for w in "".join(c if c.isalpha() or c == " " else " " for c in words).split()
        if not any(digit in w.lower() for digit in WORDS)
    ]
    made = []
    for _ in range(count):
        length = rng.choice([4, 8, 12, 20, 30])
        start = rng.randrange(len(plain) - length)
        made.append(" ".join(plain[start : start + length]))
    return made + [" ".join(rng.choices(NEAR_WORDS, k=rng.choice([1, 1, 2, 3]))) for _ in range(count // 2)]


def collected(other: Path | None, seed: int) -> Iterator[tuple[str, str, np.ndarray]]:
    """Made and foreign speech as (voice, text, wave): digits, strings of digits, and with empty text other speech."""
    rng = random.Random(seed)
    texts = [word for word in WORDS for _ in range(60)]
    texts += [" ".join(rng.choices(WORDS, k=rng.choice([2, 3, 3, 4, 4, 5, 6, 7]))) for _ in range(800)]
    yield from (("synthetic", text, synthesize(text, rng)) for text in texts)
    yield from (("synthetic", "", synthesize(text, rng)) for text in sentences(500, rng))
    gc.freeze()  # decode_audio collects garbage after each file
    for path in sorted(other.glob("*/*")) if other else []:
        wave = decode_audio(str(path))
        if len(wave) > RATE // 10 and np.abs(wave).max() > 1e-3:
            yield path.parent.name, "", wave


def kept(cache: Path, other: Path | None, seed: int) -> Iterator[tuple[str, str, np.ndarray]]:
    """What `collected` gives, kept in a file."""
    if not cache.exists():
        voices, texts, waves = zip(*collected(other, seed), strict=True)
        waves = [np.round(wave / max(1e-4, np.abs(wave).max()) * 32_767).astype(np.int16) for wave in waves]
        np.savez(cache, voices=voices, texts=texts, lengths=[len(wave) for wave in waves], audio=np.concatenate(waves))
    stored = np.load(cache)
    waves = np.split(stored["audio"], np.cumsum(stored["lengths"])[:-1])
    for voice, text, wave in zip(stored["voices"], stored["texts"], waves, strict=True):
        yield str(voice), str(text), wave.astype(np.float32) / 32_767


def load_speech(recordings: Path, other: Path | None, cache: Path, seed: int = 1) -> Speech:
    speech = Speech()
    for path in sorted(recordings.glob("*.wav")):
        digit, speaker, index = path.stem.split("_")
        wave, rate = sf.read(path, dtype="float32")
        wave = soxr.resample(wave, rate, RATE)
        wave = wave / max(1e-4, np.abs(wave).max())
        if int(index) in HELD_OUT:
            speech.held_out.append((int(digit), speaker, wave))
        else:
            speech.digits[speaker][int(digit)].append(trimmed(wave))
    for voice, text, wave in kept(cache, other, seed):
        if not text:
            speech.other[voice].append(wave)
        elif " " in text:
            speech.strings.append((text, wave))
        else:
            speech.digits[voice][WORDS.index(text)].append(wave)
    return speech


def trimmed(wave: np.ndarray, margin: int = RATE // 10) -> np.ndarray:
    """The wave with at most `margin` samples before and after what is louder than a twenty-fifth of its peak.

    One speaker's recordings have up to half a second of silence around the word: not to be told from a pause.
    """
    loud = np.flatnonzero(np.abs(wave) > 0.04 * np.abs(wave).max())
    return wave[max(0, loud[0] - margin) : loud[-1] + margin]


def resped(wave: np.ndarray, factor: float) -> np.ndarray:
    length = int(len(wave) / factor)
    return np.interp(np.arange(length) * factor, np.arange(len(wave)), wave).astype(np.float32)
