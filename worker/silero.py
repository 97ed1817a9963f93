"""Voice activity of a whole clip, in steps between which a caller who has gone is noticed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fleet import silero
from fleet.silero import CHUNK, Ear, Samples

STEP = 2000 * CHUNK  # samples between two looks at whether anybody still waits (64 s, 0.15 s of compute)


class Silero:
    """One session of the model for all clips; calls may run beside each other."""

    def __init__(self) -> None:
        self._model = silero.Silero()

    def probabilities(self, samples: Samples, is_cancelled: Callable[[], bool]) -> list[float]:
        """One number for each chunk, the last one filled up with silence; ends early when cancelled."""
        ear, found = Ear(self._model), list[float]()
        for start in range(0, len(samples), STEP):
            if is_cancelled():
                break
            step = samples[start : start + STEP]
            found += ear.hear(np.pad(step, (0, -len(step) % CHUNK)))
        return found
