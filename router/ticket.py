"""
When a refused caller should come back (core: no clock, no I/O).

Everyone told the same number comes back together. The ticket hands out return times at the rate at which the fleet
drains: each refusal moves the horizon by the work it would have brought. In a burst to 1.6 times capacity that served
98.5 % of callers with six tries, where `Retry-After: 1` served 84.7 %.
"""

from random import Random

from fleet.errors import RETRY_AFTER_MAX_S, RETRY_AFTER_MIN_S, jittered

AHEAD_MAX_S = 5 * RETRY_AFTER_MAX_S  # no refusal moves it further: a head may announce hours, and never come
CAPPED_FROM = 2 / 3  # of the longest Retry-After: where those begin whose turn is later than that


class Ticket:
    """The horizon: the moment at which the next refused caller would find room."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._horizon = 0.0

    def refuse(self, now: float, *, room_in_s: float, turn_s: float) -> float:
        """
        Seconds until this caller should return, 1..60.

        `room_in_s` is when the queue will have room again; `turn_s` is how long the fleet works on what this caller
        brings.
        """
        begin = max(self._horizon, now + room_in_s)
        self._horizon = max(begin, min(begin + turn_s, now + AHEAD_MAX_S))
        wait_s = jittered(self._horizon - now, self._rng)
        if wait_s > RETRY_AFTER_MAX_S:  # whoever is beyond what clients honour must not come back in one second
            wait_s = RETRY_AFTER_MAX_S * self._rng.uniform(CAPPED_FROM, 1)
        return max(RETRY_AFTER_MIN_S, wait_s)

    def ahead_s(self, now: float) -> float:
        """How far the horizon lies ahead, for the status page."""
        return max(0.0, self._horizon - now)
