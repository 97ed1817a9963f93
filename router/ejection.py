"""
When a worker is left out, and how it comes back (core: no clock, no I/O).

Failures in a row, or over half of the last ten or more in 30 s, take it out: 5 s at first, doubling to 60 s. Then it is
half-open: one request, the smallest that waits, decides. What is the caller's fault (4xx, hanging up) or is no fault
(busy) never counts.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random

WINDOW_S = 30
WINDOW_LEAST = 10
JITTER = 0.2
DOUBLINGS_MAX = 30  # centuries; a worker that fails for a day would count beyond what a float can hold


class Circuit(StrEnum):
    """What a worker may get."""

    CLOSED = "closed"  # requests
    OPEN = "open"  # none
    HALF_OPEN = "half_open"  # one


@dataclass(slots=True, kw_only=True)
class Ejection:
    """The record of one worker's outcomes."""

    failures_limit: int = 3
    base_s: float = 5
    max_s: float = 60
    failures: int = 0  # in a row
    ejections: int = 0  # since it last proved itself: the exponent of the time out
    opened: int = 0  # ever
    ejected_until: float | None = None
    last_error: str | None = None
    last_error_at: float | None = None
    _recent: deque[tuple[float, bool]] = field(default_factory=lambda: deque(maxlen=200))

    def circuit(self, now: float) -> Circuit:
        """Closed, open, or half-open once its time is up."""
        if self.ejected_until is None:
            return Circuit.CLOSED
        return Circuit.OPEN if now < self.ejected_until else Circuit.HALF_OPEN

    def succeed(self, now: float) -> None:
        """A request went well: whatever was held against it is forgotten."""
        self._recent.append((now, True))
        self.failures = 0
        if self.circuit(now) is Circuit.HALF_OPEN:
            self.reset()

    def fail(self, now: float, error: str, rng: Random) -> bool:
        """A request failed by this worker's fault. True if that takes it out now."""
        self._recent.append((now, False))
        self.failures += 1
        self.last_error, self.last_error_at = error, now
        circuit = self.circuit(now)
        if circuit is Circuit.OPEN or not (circuit is Circuit.HALF_OPEN or self._is_too_much(now)):
            return False
        time_out_s = min(self.max_s, self.base_s * 2 ** min(self.ejections, DOUBLINGS_MAX)) * rng.uniform(
            1 - JITTER, 1 + JITTER
        )
        self.ejected_until = now + time_out_s
        self.ejections += 1
        self.opened += 1
        return True

    def reset(self) -> None:
        """Start afresh: the worker proved itself, is a new process, or an operator says so."""
        self.failures = self.ejections = 0
        self.ejected_until = None
        self._recent.clear()

    def reopens_in_s(self, now: float) -> float | None:
        """Seconds until it may be tried again; None when it is not out."""
        return max(0.0, self.ejected_until - now) if self.circuit(now) is Circuit.OPEN and self.ejected_until else None

    def _is_too_much(self, now: float) -> bool:
        recent = [is_good for at, is_good in self._recent if at > now - WINDOW_S]
        return self.failures >= self.failures_limit or (
            len(recent) >= WINDOW_LEAST and recent.count(False) * 2 > len(recent)
        )


NewEjection = Callable[[], Ejection]  # with the operator's settings
