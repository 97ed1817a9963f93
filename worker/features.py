"""
The log-mel features of a clip of any length, a minute at a time.

faster-whisper's own extractor transforms a whole clip at once, which takes 60 MB for each minute of it: what it decodes
one window after the other could take 14 GB for four hours. Minutes put together are the same numbers: a frame depends
on the few samples around it, and on the loudest frame of the clip only as the floor below which nothing is told apart.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.window import Samples

HOP = 160  # samples from one frame to the next
AROUND = 2  # frames on each side that a frame may look at; it looks at 200 samples
BLOCK = 6000  # frames: a minute
FLOOR = 2.0  # below the loudest frame, in the extractor's own unit (80 dB)


class Features:
    """Stands where the extractor stood, and has all that it has."""

    def __init__(self, extractor: Any) -> None:
        self._extractor = extractor

    def __getattr__(self, name: str) -> Any:
        return getattr(self._extractor, name)

    def __call__(self, waveform: Samples, padding: int = HOP, chunk_length: int | None = None) -> NDArray[np.float32]:
        """A column for each frame of the waveform and its padding."""
        count = (len(waveform) + padding) // HOP
        blocks = [
            self._block(waveform, padding, chunk_length, first, min(first + BLOCK, count))
            for first in range(0, max(1, count), BLOCK)
        ]
        if len(blocks) == 1:
            return blocks[0]
        features = np.concatenate(blocks, axis=1)
        np.maximum(features, features.max() - FLOOR, out=features)
        return features

    def _block(
        self, waveform: Samples, padding: int, chunk_length: int | None, first: int, end: int
    ) -> NDArray[np.float32]:
        begin = max(0, first - AROUND)
        until = (end + AROUND) * HOP
        samples = waveform[begin * HOP : until]
        padded = min(padding, max(0, until - len(waveform)))
        found: NDArray[np.float32] = self._extractor(samples, padding=padded, chunk_length=chunk_length)
        return found[:, first - begin : end - begin]
