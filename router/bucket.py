"""A token bucket: so many at once, and so many over time (core: time is passed in)."""

from __future__ import annotations

import math


class Bucket:
    """Full at first. State: how much was in it, and when that was. Times are on the caller's monotonic clock."""

    def __init__(self, size: float, per_s: float, now: float) -> None:
        self.size = size
        self.per_s = per_s
        self._level = size
        self._as_of = now

    def __repr__(self) -> str:
        return f"<Bucket {self._level:.2f}/{self.size:g}, {self.per_s:g} a second>"

    def level(self, now: float) -> float:
        """How much is in it."""
        return min(self.size, self._level + max(0.0, now - self._as_of) * self.per_s)

    def wait_s(self, now: float) -> float:
        """Seconds until one can be taken; zero if one can be taken now."""
        missing = 1 - self.level(now)
        if missing <= 0:
            return 0.0
        return missing / self.per_s if self.per_s > 0 and self.size >= 1 else math.inf

    def full_in_s(self, now: float) -> float:
        """Seconds until it is full again."""
        missing = self.size - self.level(now)
        return missing / self.per_s if missing > 0 and self.per_s > 0 else 0.0

    def take(self, now: float) -> None:
        """Take one out. Ask `wait_s` first: what is not there can be taken all the same, and is then owed."""
        self._level, self._as_of = self.level(now) - 1, max(now, self._as_of)

    def resize(self, size: float, per_s: float, now: float) -> None:
        """Another size and speed; what was taken stays taken, as far as it fits."""
        taken = self.size - self.level(now)
        self.size, self.per_s = size, per_s
        self._level, self._as_of = max(0.0, size - taken), max(now, self._as_of)
