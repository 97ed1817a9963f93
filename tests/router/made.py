"""Workers, reports and waiting requests for tests, with only what a test cares about spelled out."""

from dataclasses import replace
from random import Random
from typing import Any

from fleet.wire import LoadReport, Tier, WorkerState
from router.pool import Pool
from router.queue_order import Waiting
from router.upstream import Lease, Worker

READY = LoadReport(
    worker_id="w",
    boot="b1",
    state=WorkerState.READY,
    model="tiny",
    slots=1,
    in_flight=0,
    queue_depth=0,
    queue_limit=10,
    languages=("en",),
)


def report(**changes: Any) -> LoadReport:
    """A ready worker's report, changed."""
    return replace(READY, **changes)


def pool_of(count: int, *, now: float = 0.0, slots: int = 1, is_proven: bool = True) -> Pool:
    """A pool of ready workers at http://w0, http://w1, ..."""
    pool = Pool(Random(1))
    for number in range(count):
        worker = pool.add(f"http://w{number}", now)
        pool.heard(worker, report(worker_id=f"w{number}", boot=f"boot{number}", slots=slots), now)
        worker.answered = 10 if is_proven else 0
    return pool


def workers_of(pool: Pool) -> list[Worker]:
    """The pool's workers in the order they joined."""
    return list(pool.workers.values())


class Starts:
    """Remembers the leases that were handed out."""

    def __init__(self) -> None:
        self.leases: list[Lease] = []

    def __call__(self, lease: Lease) -> None:
        self.leases.append(lease)


def waiting(
    *, at: float = 0.0, est_s: float = 1.0, tenant: str = "", tier: Tier = Tier.REALTIME, **changes: Any
) -> Waiting:
    """A request that waits; `start` remembers what it got."""
    return Waiting(arrived_at=at, audio_s=est_s * 10, est_s=est_s, start=Starts(), tenant=tenant, tier=tier, **changes)


def leases_of(request: Waiting) -> list[Lease]:
    """What a request made by `waiting()` was given."""
    assert isinstance(request.start, Starts)
    return request.start.leases
