"""
Whether a job may start (core: no clock, no I/O).

Jobs wait in their store and not in the router's queue, where they would count as work ahead of everybody. One enters
when nobody waits and a slot is free; all that run leave slots to live requests, at least one where there is more than
one. A job that runs keeps its slot: it is not interrupted.
"""

from __future__ import annotations

from router.pool import Pool
from router.queue_order import Queue


def room(queue: Queue, pool: Pool, *, starting: int, reserved_slots: int, now: float) -> int:
    """
    How many jobs may run at once, in all routers, if one is to start now; 0: none may start.

    `starting` is how many have been told to start and hold no slot yet.
    """
    slots = pool.slots(now)
    free = sum(worker.free_slots(now) for worker in pool.available(now)) - starting
    if len(queue) or free <= reserved_slots:  # one that started would wait in the queue, and everybody behind it
        return 0
    return max(1, slots - max(1, reserved_slots))
