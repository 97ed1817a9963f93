"""
Where turns begin and end in live audio: probabilities of speech in, decisions out. Pure; positions are samples.

The same hysteresis as for whole clips: speech begins above the threshold, and ends when it stayed 0.15 below for as
long as the caller wants silence to last.
"""

from __future__ import annotations

from dataclasses import dataclass

RATE = 16_000
CHUNK = 512  # samples behind one probability, as fleet/silero.py gives them; that file loads numpy, this one does not
HYSTERESIS = 0.15
QUIET_MIN = 0.01
LOUD_CHUNKS = 3  # 96 ms: a click is shorter, the shortest word is not
LONG_S = 20  # a turn that lasts longer ends at the first short silence ..
SHORT_SILENCE_MS = 100
LONGEST_S = 30  # .. and one that lasts this long is cut: it is what the model takes at once


@dataclass(frozen=True, slots=True)
class Started:
    """Somebody speaks, since `at`."""

    at: int


@dataclass(frozen=True, slots=True)
class Stopped:
    """
    Nobody does any more; the turn with its silence ends `at`, and is cut in the middle of that silence.

    The other half is the next turn's: a word that begins softly right behind this turn is heard there, and whole.
    """

    at: int
    cut: int


class Turns:
    """Finds turns, one probability after the other. State: where it is, and the turn that may be open."""

    def __init__(self, *, threshold: float, silence_ms: int, origin: int = 0) -> None:
        self._threshold = threshold
        self._quiet_below = max(threshold - HYSTERESIS, QUIET_MIN)
        self._silence = RATE * silence_ms // 1000
        self.position = origin  # the end of what was taken
        self._loud = 0  # chunks of what may become a turn
        self._since = origin  # where that began, or the open turn
        self._quiet_since: int | None = None
        self.is_open = False
        self.voiced_to = origin  # the end of the last chunk with speech in it

    def take(self, probability: float) -> Started | Stopped | None:
        """The next chunk."""
        start, self.position = self.position, self.position + CHUNK
        if probability >= self._threshold:
            self.voiced_to = self.position
        return self._within(start, probability) if self.is_open else self._before(start, probability)

    def _before(self, start: int, probability: float) -> Started | None:
        if probability >= self._threshold:
            self._since = start if not self._loud else self._since
            self._loud += 1
        elif probability < self._quiet_below:
            self._loud = 0
        if self._loud < LOUD_CHUNKS:
            return None
        self._loud, self._quiet_since, self.is_open = 0, None, True
        return Started(self._since)

    def _within(self, start: int, probability: float) -> Stopped | None:
        if probability >= self._threshold:
            self._quiet_since = None
        elif probability < self._quiet_below and self._quiet_since is None:
            self._quiet_since = start
        lasted = self.position - self._since
        silence = self._silence if lasted < LONG_S * RATE else min(self._silence, RATE * SHORT_SILENCE_MS // 1000)
        is_silent = self._quiet_since is not None and self.position - self._quiet_since >= silence
        if not is_silent and lasted < LONGEST_S * RATE:
            return None
        self.is_open = False
        return Stopped(self.position, self._middle_of_silence())

    def _middle_of_silence(self) -> int:
        chunks = 0 if self._quiet_since is None else (self.position - self._quiet_since) // CHUNK
        return self.position - chunks // 2 * CHUNK


def in_chunks(ms: int) -> int:
    """
    Samples that last so long, rounded up to whole chunks.

    A turn that is cut at chunks is heard by a worker's voice activity in the very chunks it was heard in here: the
    same speech is found, and the model gets the same window, as in a file of the whole session.
    """
    return -(-RATE * ms // (1000 * CHUNK)) * CHUNK
