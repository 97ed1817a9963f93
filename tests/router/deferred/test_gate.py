"""When a job may start."""

from router.deferred.gate import room
from router.queue_order import Queue
from tests.router.made import pool_of, waiting, workers_of


def rooms(pool, queue=None, *, starting=0, reserved=0):
    """How many may run."""
    return room(queue or Queue(10), pool, starting=starting, reserved_slots=reserved, now=0.0)


def test_one_slot_is_left():
    """Where there is more than one; and as many as are reserved."""
    assert rooms(pool_of(1)) == 1
    assert rooms(pool_of(2)) == 1
    assert rooms(pool_of(8)) == 7
    assert rooms(pool_of(8), reserved=3) == 5
    assert rooms(pool_of(1), reserved=1) == 0
    assert rooms(pool_of(0)) == 0


def test_none_starts_while_somebody_waits():
    """Nor while no slot is free."""
    queue, pool = Queue(10), pool_of(1)
    queue.add(waiting())
    assert rooms(pool_of(4), queue) == 0
    workers_of(pool)[0].lease(0.0, 1.0, 1.0)
    assert rooms(pool) == 0


def test_those_that_start_count():
    """They have no slot yet, and will."""
    assert rooms(pool_of(3), starting=2) == 2
    assert rooms(pool_of(3), starting=3) == 0
    assert rooms(pool_of(3), starting=2, reserved=1) == 0
