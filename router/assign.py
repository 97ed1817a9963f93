"""
Joins the queue and the free slots (core: no clock, no I/O).

Called whenever either side may have changed. Choosing and taking the slot happen in one go, so no two requests can
get the same slot.
"""

from collections.abc import Iterator, Sequence

from fleet.wire import Tier
from router.ejection import Circuit
from router.policy import Policy
from router.pool import Pool
from router.queue_order import Queue, Waiting
from router.upstream import Lease, Worker


class Assigner:
    """Gives free slots to whoever is next."""

    def __init__(self, queue: Queue, pool: Pool, policy: Policy, *, reserved_slots: int = 0) -> None:
        self._queue = queue
        self._pool = pool
        self._policy = policy
        self._reserved_slots = reserved_slots

    def run(self, now: float) -> int:
        """Start everyone that can start; returns how many did."""
        started = 0
        while len(self._queue) and (match := self._match(now)):
            waiting, worker = match
            self._start(waiting, worker, now)
            started += 1
        return started

    def end(self, lease: Lease, now: float) -> None:
        """Its slot is free; what its tenant has used is what it held, not what the clip's header promised."""
        lease.release()
        self._queue.charge(lease.tenant, now - lease.started_at - lease.est_s, now)

    def _match(self, now: float) -> tuple[Waiting, Worker] | None:
        free = self._pool.available(now)
        if not free:
            return None
        trials = [worker for worker in free if worker.circuit(now) is Circuit.HALF_OPEN]
        for worker in trials:  # one that failed gets the request that loses least
            suited = [waiting for waiting in self._startable(free, now) if self.may_take(worker, waiting, now)]
            if suited:
                return min(suited, key=lambda waiting: waiting.est_s), worker
        proven = [worker for worker in free if worker not in trials]
        lacking: set[str | None] = (
            set()
        )  # models that no free worker has: hundreds may wait for one, and are passed over
        for waiting in self._startable(free, now):
            if waiting.model in lacking:
                continue
            candidates = [worker for worker in proven if self.may_take(worker, waiting, now)]
            if candidates:
                return waiting, self._policy(candidates, waiting.audio_s, now)
            if not any(worker.serves(waiting.model) for worker in proven):
                lacking.add(waiting.model)
        return None

    def _startable(self, free: Sequence[Worker], now: float) -> Iterator[Waiting]:
        """Who may have one of the free slots, the next first: all but deferred requests where these are reserved."""
        may_defer = sum(worker.free_slots(now) for worker in free) > self._reserved_slots
        return (each for each in self._queue.in_order(now) if may_defer or each.tier is not Tier.DEFERRED)

    def may_take(self, worker: Worker, waiting: Waiting, now: float) -> bool:
        """
        Right model, and this process has not failed on it, unless every other one has as well.

        Of the requests that were on a worker when it died, one may be the cause. No two of them run on one worker
        again, or those beside the cause would be there at its second death too and pass for causes themselves.
        """
        if not worker.serves(waiting.model) or (waiting.is_suspect and worker.has_suspect(now)):
            return False
        if worker.boot not in waiting.tried:
            return True
        others = self._pool.usable(now)  # one that is ejected is no other: its time out may last a minute
        return not any(other.boot not in waiting.tried and other.serves(waiting.model) for other in others)

    def _start(self, waiting: Waiting, worker: Worker, now: float) -> None:
        self._queue.remove(waiting)
        est_s = self._pool.cost_of(worker).seconds(waiting.audio_s)
        lease = worker.lease(now, est_s, waiting.audio_s, tenant=waiting.tenant, is_suspect=waiting.is_suspect)
        self._queue.charge(waiting.tenant, est_s, now)
        waiting.start(lease)
