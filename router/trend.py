"""The last five minutes of what an operator looks at first, for the status page's curves (core: no clock, no I/O)."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from itertools import pairwise

EVERY_S = 2  # the caller's business; a curve of five minutes has no room for more
MOMENTS = 150


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One look at the fleet."""

    backlog_s: float
    expected_wait_s: float
    refused: int  # ever; the curve shows how it grows


@dataclass(slots=True)
class Trend:
    """The last `MOMENTS` looks, oldest first."""

    moments: deque[Moment] = field(default_factory=lambda: deque(maxlen=MOMENTS))

    def note(self, moment: Moment) -> None:
        """One more look; the oldest is forgotten."""
        self.moments.append(moment)

    def backlog_s(self) -> list[float]:
        """Seconds of work that waited or ran."""
        return [moment.backlog_s for moment in self.moments]

    def expected_wait_s(self) -> list[float]:
        """What a request that came then would have waited."""
        return [moment.expected_wait_s for moment in self.moments]

    def refusals(self) -> list[float]:
        """Requests refused between one look and the next."""
        return [max(0, after.refused - before.refused) for before, after in pairwise(self.moments)]
