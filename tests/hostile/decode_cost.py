"""
What the decode child costs: `python -m tests.hostile.decode_cost`, for each format, beside decoding in this process.

A clip of five seconds, one caller, here and in the child by turns. Processor time of both, so that the figures do not
depend on what else the machine does. Ends with 1 if the child adds more than the bars say.
"""

from __future__ import annotations

import argparse
import io
import logging
import sys
import time
from statistics import median, quantiles

from tests.worker import clips as make
from worker import audio
from worker.clip import AudioLimits
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


class Meter(logging.Handler):
    """State: the processor time that children said they took."""

    burnt_ms = 0.0

    def emit(self, record: logging.LogRecord) -> None:
        """A file's line."""
        self.burnt_ms += getattr(record, "cpu_ms", 0.0)


def here_ms(data: bytes) -> float:
    """One decode in this process."""
    began = time.process_time()
    audio.decode(io.BytesIO(data), LIMITS)
    return (time.process_time() - began) * 1000


def there_ms(data: bytes, sandbox: Sandbox, meter: Meter) -> float:
    """One decode as a worker does it: this process's part and the child's."""
    began, before_ms = time.process_time(), meter.burnt_ms
    sandbox.decode(io.BytesIO(data), LIMITS)
    return (time.process_time() - began) * 1000 + meter.burnt_ms - before_ms


def p99(values: list[float]) -> float:
    """What one in a hundred exceeds."""
    return quantiles(values, n=100)[98]


def main() -> int:
    """A line of docs/performance.md for each format."""
    parser = argparse.ArgumentParser(prog="python -m tests.hostile.decode_cost", description=__doc__)
    parser.add_argument("--files", type=int, default=500, help="of each format (default: 500)")
    options = parser.parse_args()
    meter, sandbox, is_good = Meter(), Sandbox(), True
    log = logging.getLogger("worker.decode")
    log.setLevel(logging.INFO)
    log.addHandler(meter)
    wav = make.wav(make.tone(5))
    try:
        for container, codec, rate in FORMATS:
            data = make.encoded(wav, container, codec, rate)
            sandbox.decode(io.BytesIO(data), LIMITS)
            turns = [(here_ms(data), there_ms(data, sandbox, meter)) for _ in range(options.files)]
            here, there = ([turn[side] for turn in turns] for side in (0, 1))
            p50_added, p99_added = median(there) - median(here), p99(there) - p99(here)
            is_good &= p50_added < WAV_ADDED_MAX_MS if container == "wav" else p99_added < CHILD_ADDED_P99_MAX_MS
            print(
                f"| {container} | {median(here):.1f}, {p99(here):.1f} | {median(there):.1f}, {p99(there):.1f} | "
                f"{p50_added:+.1f}, {p99_added:+.1f} |",
                flush=True,
            )
    finally:
        sandbox.close()
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
