"""What a session sends -> 16 kHz samples, as it comes. Blocks for as long as it computes."""

from __future__ import annotations

import numpy as np
import soxr
from numpy.typing import NDArray

from router.realtime.config import Encoding
from router.realtime.track import RATE


class Decoder:
    """One stream. State: a byte that waits for its other half, and what the resampler holds back (some 10 ms)."""

    def __init__(self, encoding: Encoding) -> None:
        self._encoding = encoding
        self._half = b""
        self._resampler = soxr.ResampleStream(encoding.rate, RATE, 1, dtype="int16")

    def feed(self, data: bytes) -> NDArray[np.int16]:
        """The samples that are complete now."""
        return self._resample(self._samples(data), is_last=False)

    def finish(self) -> NDArray[np.int16]:
        """What was held back; the next byte begins a new stream."""
        rest = self._resample(np.zeros(0, np.int16), is_last=True)
        self._half = b""
        self._resampler.clear()
        return rest

    def _samples(self, data: bytes) -> NDArray[np.int16]:
        if self._encoding is Encoding.PCMU:
            return MU_LAW[np.frombuffer(data, np.uint8)]
        if self._encoding is Encoding.PCMA:
            return A_LAW[np.frombuffer(data, np.uint8)]
        data = self._half + data
        whole = len(data) - len(data) % 2
        self._half = data[whole:]
        return np.frombuffer(data[:whole], "<i2").astype(np.int16)

    def _resample(self, samples: NDArray[np.int16], *, is_last: bool) -> NDArray[np.int16]:
        resampled: NDArray[np.int16] = self._resampler.resample_chunk(samples, last=is_last)
        return resampled


def _mu_law() -> NDArray[np.int16]:
    """ITU-T G.711: sign, three bits of exponent, four of mantissa, all inverted."""
    code = ~np.arange(256, dtype=np.int32) & 0xFF
    size = (((code & 0x0F) << 3) + 0x84 << ((code & 0x70) >> 4)) - 0x84
    return np.where(code & 0x80, -size, size).astype(np.int16)


def _a_law() -> NDArray[np.int16]:
    """ITU-T G.711: the same, with every other bit inverted and no offset in the lowest two ranges."""
    code = np.arange(256, dtype=np.int32) ^ 0x55
    exponent, mantissa = (code & 0x70) >> 4, (code & 0x0F) << 4
    size = np.where(exponent == 0, mantissa + 8, (mantissa + 0x108) << np.maximum(exponent - 1, 0))
    return np.where(code & 0x80, size, -size).astype(np.int16)


MU_LAW, A_LAW = _mu_law(), _a_law()
