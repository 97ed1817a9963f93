"""What a decoder makes of an upload: 16 kHz mono samples, and how it says that it cannot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO, Protocol

import numpy as np

from fleet.errors import BadAudio
from worker.window import RATE, Samples

RATES_HZ = (4_000, 192_000)  # beyond this no microphone or telephone goes, and resamplers can be made to explode
CHANNELS_MAX = 8
NOT_FINITE_MAX = 0.01  # share of samples that are no numbers, above which the clip is damaged


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioLimits:
    """How long a clip may be."""

    min_s: float = 0.0
    max_s: float = 14_400.0


@dataclass(frozen=True, slots=True)
class Clip:
    """A decoded upload. `warnings` say what was lost on the way."""

    samples: Samples
    warnings: tuple[str, ...] = ()

    @property
    def duration_s(self) -> float:
        """The decoded length, whatever the container declared."""
        return len(self.samples) / RATE


class Decoder(Protocol):
    """Bytes in, clip out; blocks. Raises BadAudio."""

    def __call__(self, source: IO[bytes], limits: AudioLimits) -> Clip:
        """Decode from the source's beginning."""


def check_layout(rate_hz: int, channels: int) -> None:
    """Refuse what no recording has before it can cost anything."""
    if not RATES_HZ[0] <= rate_hz <= RATES_HZ[1]:
        raise BadAudio(f"The sample rate must be from {RATES_HZ[0]} to {RATES_HZ[1]} Hz.", code="audio_bad_layout")
    if not 1 <= channels <= CHANNELS_MAX:
        raise BadAudio(f"The audio must have 1 to {CHANNELS_MAX} channels.", code="audio_bad_layout")


def check_length(seconds: float, limits: AudioLimits) -> None:
    """Refuse a clip past the limit, as soon as that is known."""
    if seconds > limits.max_s:
        raise BadAudio(f"The audio is longer than {limits.max_s:g} seconds (MAX_AUDIO_S).", code="audio_too_long")


def finished(blocks: Sequence[Samples], limits: AudioLimits, warnings: tuple[str, ...] = ()) -> Clip:
    """Put the blocks together; raises BadAudio for nothing, for too little, and for what is not sound."""
    samples = np.concatenate(blocks) if blocks else np.zeros(0, np.float32)
    seconds = len(samples) / RATE
    if not samples.size:
        raise BadAudio("The file has no audio in it.", code="audio_empty")
    if seconds < limits.min_s:
        raise BadAudio(f"The audio is shorter than {limits.min_s:g} seconds (MIN_AUDIO_S).", code="audio_empty")
    check_length(seconds, limits)
    is_number = np.isfinite(samples)
    if is_number.all():
        return Clip(samples, warnings)
    lost = 1.0 - float(is_number.mean())
    if lost > NOT_FINITE_MAX:
        raise BadAudio("The samples of this file are not numbers.", code="audio_corrupt")
    return Clip(np.where(is_number, samples, np.float32(0)), (*warnings, f"not-finite; share={lost:.5f}"))
