"""
Which of several free workers gets the next request (core: no clock, no I/O).

Only workers with a free slot are asked about: a request binds late. Ties fall at random, or the first listed would get
everything on a quiet day.
"""

from collections.abc import Callable, Sequence
from random import Random

from router.pool import Pool
from router.upstream import Worker

Policy = Callable[[Sequence[Worker], float, float], Worker]
"""(workers with a free slot, at least one; seconds of audio; now) -> one of them."""


def least_work(pool: Pool, rng: Random) -> Policy:
    """The one that would have this request done first: its outstanding seconds of work, plus this at its own speed."""

    def pick(candidates: Sequence[Worker], audio_s: float, now: float) -> Worker:
        return min(candidates, key=lambda w: (w.outstanding_s(now) + pool.cost_of(w).seconds(audio_s), rng.random()))

    return pick


def least_connections(_: Pool, rng: Random) -> Policy:
    """The one with the fewest requests in flight per slot."""

    def pick(candidates: Sequence[Worker], _audio_s: float, now: float) -> Worker:
        return min(candidates, key=lambda w: (load(w, now), rng.random()))

    return pick


def power_of_two(_: Pool, rng: Random) -> Policy:
    """Two at random, the less loaded of them."""

    def pick(candidates: Sequence[Worker], _audio_s: float, now: float) -> Worker:
        return min(rng.sample(candidates, min(2, len(candidates))), key=lambda w: load(w, now))

    return pick


def round_robin(_: Pool, _rng: Random) -> Policy:
    """The one used longest ago."""
    turn = 0
    last: dict[str, int] = {}

    def pick(candidates: Sequence[Worker], _audio_s: float, _now: float) -> Worker:
        nonlocal turn
        turn += 1
        chosen = min(candidates, key=lambda w: last.get(w.url, 0))
        last[chosen.url] = turn
        return chosen

    return pick


def load(worker: Worker, now: float) -> float:
    """Requests in flight per slot, others' included."""
    return (len(worker.leases) + worker.others(now)) / worker.slots


POLICIES: dict[str, Callable[[Pool, Random], Policy]] = {
    "least_work": least_work,
    "least_connections": least_connections,
    "power_of_two": power_of_two,
    "round_robin": round_robin,
}
