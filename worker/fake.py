"""
The scripted engine, `fake:SECONDS`: no model, any bytes as audio, a fixed time a clip, the same text every time.
`fake:SECONDS+PER_AUDIO_SECOND` takes longer for longer clips.

For tests, for the CI of other people's clients, and for measuring routers without burning a CPU.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Hashable, Iterator, Sequence
from itertools import pairwise
from typing import IO

import numpy as np

from fleet import language
from fleet.wire import Segment, Word
from worker.card import ModelCard
from worker.clip import AudioLimits, Clip, finished
from worker.window import RATE, DecodeOptions, EngineFacts, Piece, Region, Samples, Window, WindowResult

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
WINDOWS = 3  # segments in a clip
STEP_S = 0.02  # how soon a cancelled clip is noticed


class ScriptedEngine:
    """Sleeps in the engine's thread where a model would compute."""

    def __init__(self, model: str, seconds: float, per_audio_s: float = 0.0) -> None:
        self._seconds, self._per_audio_s = seconds, per_audio_s
        self.device = "cpu"
        self.facts = EngineFacts(
            model=model,
            device="cpu",
            compute_type="none",
            languages=tuple(language.NAMES),
            can_translate=True,
            is_scripted=True,
            card=ModelCard(description="scripted: no model behind it"),
        )

    def load(self) -> None:
        """Nothing to load."""

    def plan(self, samples: Samples, options: DecodeOptions, is_cancelled: Callable[[], bool]) -> list[Window]:
        """Three windows of equal length; none for an empty clip."""
        bounds = [len(samples) * part // WINDOWS for part in range(WINDOWS + 1)]
        pairs = [(start, end) for start, end in pairwise(bounds) if start < end]
        return [Window(start, end, (Region(start, end, start, end),), start == 0) for start, end in pairs]

    def key(self, piece: Piece) -> Hashable:
        """Anything may share a call."""
        return None

    def run(self, pieces: Sequence[Piece], is_cancelled: Callable[[], bool]) -> list[WindowResult]:
        """Take a window's share of the time, or stop early when nobody waits any more."""
        audio_s = sum(piece.window.end - piece.window.start for piece in pieces) / RATE
        until = time.monotonic() + self._seconds / WINDOWS + self._per_audio_s * audio_s
        while (left := until - time.monotonic()) > 0 and not is_cancelled():
            time.sleep(min(left, STEP_S))
        return [_result(piece) for piece in pieces]

    def sequential(self, samples: Samples, options: DecodeOptions) -> Iterator[WindowResult]:
        """The same windows, one a step."""
        for window in self.plan(samples, options, lambda: False):
            yield from self.run([Piece(samples, window, options)], lambda: False)


def decode(source: IO[bytes], limits: AudioLimits) -> Clip:
    """Any bytes, taken for 16-bit samples: 32,000 bytes a second. Raises BadAudio for none, or too many."""
    source.seek(0)
    data = source.read()
    samples = np.frombuffer(data[: len(data) // 2 * 2], "<i2").astype(np.float32) * np.float32(1 / 32768)
    return finished([samples], limits)


def text_of(samples: Samples) -> str:
    """Two digits that depend on every byte, so that answers cannot be mixed up unseen."""
    number = zlib.crc32(samples.tobytes())
    return f" {WORDS[number % 10]} {WORDS[number // 10 % 10]}"


def _result(piece: Piece) -> WindowResult:
    start, end = piece.window.start / RATE, piece.window.end / RATE
    text = text_of(piece.samples[piece.window.start : piece.window.end])
    middle = (start + end) / 2
    first, second = text.split()
    words = (Word(f" {first}", start, middle, 1.0), Word(f" {second}", middle, end, 1.0))
    segment = Segment(
        id=0,
        seek=piece.window.start * 100 // RATE,
        start=start,
        end=end,
        text=text,
        tokens=(WORDS.index(first), WORDS.index(second)),
        compression_ratio=1.0,
        words=words if piece.options.wants_words else None,
    )
    return WindowResult(segments=(segment,), language=piece.options.language or "en")
