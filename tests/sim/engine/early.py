"""
What others do, to be compared with: a worker is picked the moment a request arrives, and the request waits there.

Only in the simulator. Each rule sees the same arrivals as the shipped router; every worker runs one request at a time,
first come, first served. `central_fifo` binds late and looks at no size: the least that a shared queue gives.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Sequence
from random import Random

from tests.sim.engine.house import Order
from tests.sim.engine.machine import COST
from tests.sim.engine.traffic import Story

Arrivals = Sequence[tuple[float, Order]]


class Lane:
    """One worker with its own queue."""

    def __init__(self) -> None:
        self.free_at = 0.0
        self._ends: deque[tuple[float, float]] = deque()  # when each request ends, and its guessed work

    def count(self, now: float) -> int:
        """Requests inside."""
        while self._ends and self._ends[0][0] <= now:
            self._ends.popleft()
        return len(self._ends)

    def work_s(self, now: float) -> float:
        """Guessed seconds of work inside, as the balancer would sum them."""
        self.count(now)
        return sum(guess_s for _, guess_s in self._ends)

    def add(self, now: float, work_s: float, guess_s: float) -> float:
        """Queue a request; returns when it starts."""
        start = max(now, self.free_at)
        self.free_at = start + work_s
        self._ends.append((self.free_at, guess_s))
        return start


Rule = Callable[[Sequence[Lane], float, Random], Lane]


def round_robin() -> Rule:
    """Each in turn."""
    turn = -1

    def pick(lanes: Sequence[Lane], _now: float, _rng: Random) -> Lane:
        nonlocal turn
        turn += 1
        return lanes[turn % len(lanes)]

    return pick


def power_of_two() -> Rule:
    """Two at random, the one with fewer requests."""
    return lambda lanes, now, rng: min(rng.sample(lanes, 2), key=lambda lane: lane.count(now))


def least_connections() -> Rule:
    """Fewest requests; ties fall at random."""
    return lambda lanes, now, rng: min(lanes, key=lambda lane: (lane.count(now), rng.random()))


def least_expected_work() -> Rule:
    """Least guessed work; ties fall at random."""
    return lambda lanes, now, rng: min(lanes, key=lambda lane: (lane.work_s(now), rng.random()))


EARLY: dict[str, Callable[[], Rule]] = {
    "round robin": round_robin,
    "power of two": power_of_two,
    "least connections": least_connections,
    "least expected work": least_expected_work,
}


def bind_early(arrivals: Arrivals, rule: Rule, *, workers: int, rng: Random) -> list[Story]:
    """Play the arrivals against a rule."""
    lanes = [Lane() for _ in range(workers)]
    stories = []
    for at, order in arrivals:
        lane = rule(lanes, at, rng)
        start = lane.add(at, COST.seconds(order.audio_s), COST.seconds(order.guess_s or order.audio_s))
        stories.append(Story(order=order, arrived_at=at, started_at=start, status=200))
    return stories


def central_fifo(arrivals: Arrivals, *, workers: int) -> list[Story]:
    """One queue, first come, first served."""
    free_at = [0.0] * workers
    stories = []
    for at, order in arrivals:
        start = max(at, heapq.heappop(free_at))
        heapq.heappush(free_at, start + COST.seconds(order.audio_s))
        stories.append(Story(order=order, arrived_at=at, started_at=start, status=200))
    return stories
