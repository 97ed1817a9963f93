"""
What the decode child costs: `python -m tests.hostile.decode_cost`, for each format, beside decoding in this process.

A clip of five seconds, one caller; here and in the child by turns, so that what else the machine does adds to both.
Ends with 1 if the child adds more than the bars say.
"""

from __future__ import annotations

import argparse
import io
import sys
import time
from collections.abc import Callable
from statistics import median, quantiles
from typing import IO

from tests.worker import clips as make
from worker import audio
from worker.clip import AudioLimits, Clip
from worker.sandbox import Sandbox

LIMITS = AudioLimits()
WAV_ADDED_MAX_MS, CHILD_ADDED_P99_MAX_MS = 5, 25
FORMATS = (
    ("wav", "pcm_s16le", 16_000),
    ("flac", "flac", 16_000),
    ("mp3", "libmp3lame", 44_100),
    ("ogg", "libopus", 48_000),
    ("ipod", "aac", 44_100),
    ("webm", "libopus", 48_000),
)


def took_ms(decode: Callable[[IO[bytes], AudioLimits], Clip], data: bytes) -> float:
    """One decode."""
    began = time.perf_counter()
    decode(io.BytesIO(data), LIMITS)
    return (time.perf_counter() - began) * 1000


def p99(values: list[float]) -> float:
    """So that one in a hundred takes longer."""
    return quantiles(values, n=100)[98]


def main() -> int:
    """A line of docs/performance.md for each format."""
    parser = argparse.ArgumentParser(prog="python -m tests.hostile.decode_cost", description=__doc__)
    parser.add_argument("--files", type=int, default=400, help="of each format (default: 400)")
    options = parser.parse_args()
    sandbox, is_good = Sandbox(), True
    wav = make.wav(make.tone(5))
    try:
        for container, codec, rate in FORMATS:
            data = make.encoded(wav, container, codec, rate)
            sandbox.decode(io.BytesIO(data), LIMITS)
            turns = [(took_ms(audio.decode, data), took_ms(sandbox.decode, data)) for _ in range(options.files)]
            here, there = ([turn[side] for turn in turns] for side in (0, 1))
            added_p50, added_p99 = median(there) - median(here), p99(there) - p99(here)
            is_good &= added_p50 < WAV_ADDED_MAX_MS if container == "wav" else added_p99 < CHILD_ADDED_P99_MAX_MS
            print(
                f"| {container} | {median(here):.1f}, {p99(here):.1f} | {median(there):.1f}, {p99(there):.1f} | "
                f"{added_p50:+.1f}, {added_p99:+.1f} |",
                flush=True,
            )
    finally:
        sandbox.close()
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
