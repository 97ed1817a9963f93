"""The gate: how many run, how many wait, who goes first."""

import asyncio

import pytest

from fleet.errors import Unavailable
from fleet.wire import Tier
from worker.gate import Admission, Gate


def visitor(tier: Tier = Tier.REALTIME, work_s: float = 1.0, router: str = "") -> Admission:
    return Admission(tier, work_s, router)


def test_full_gate_refuses_at_once():
    """A request beyond slots and queue is refused without waiting, and told when to come back."""
    gate = Gate(slots=1, queue_limit=0)
    with gate.enter(visitor(work_s=7)), pytest.raises(Unavailable) as refused, gate.enter(visitor()):
        pass
    assert refused.value.headers()["Retry-After"] == "7"


async def test_waiting_is_first_come_first_served():
    """Those who wait get the slot in the order in which they came."""
    gate, order = Gate(slots=1, queue_limit=3), []

    async def visit(name: str) -> None:
        one = visitor()
        with gate.enter(one):
            await gate.turn(one)
            order.append(name)
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        for name in "abcd":
            group.create_task(visit(name))
    assert order == list("abcd")
    assert (gate.in_flight, gate.queue_depth) == (0, 0)


async def test_newcomer_never_passes_who_waits():
    """A slot that is free while somebody waits for it is not for a newcomer."""
    gate = Gate(slots=1, queue_limit=2)
    first, second, third = visitor(), visitor(), visitor()
    with gate.enter(first), gate.enter(second), gate.enter(third):
        assert gate.queue_depth == 2
        assert third.turn is not None and not third.turn.done()


async def test_a_cancelled_waiter_leaves_its_place():
    """Hanging up while waiting frees the place, and the slot goes to the next."""
    gate = Gate(slots=1, queue_limit=2)
    holder, last = visitor(), visitor()

    async def wait(one: Admission) -> None:
        with gate.enter(one):
            await gate.turn(one)

    async with asyncio.TaskGroup() as group:
        with gate.enter(holder):
            gone = group.create_task(wait(visitor()))
            stays = group.create_task(wait(last))
            await asyncio.sleep(0)
            gone.cancel()
            await asyncio.wait([gone])
            assert gate.queue_depth == 1
        await stays
    assert (gate.in_flight, gate.queue_depth) == (0, 0)


async def test_a_waiter_cancelled_as_its_turn_comes_passes_the_slot_on():
    """The slot may be handed over in the tick in which its receiver is cancelled; it is not lost."""
    gate = Gate(slots=1, queue_limit=1)

    async def wait() -> None:
        one = visitor()
        with gate.enter(one):
            await gate.turn(one)

    async with asyncio.TaskGroup() as group:
        with gate.enter(visitor()):
            waiter = group.create_task(wait())
            await asyncio.sleep(0)
        assert gate.in_flight == 1
        waiter.cancel()
    assert (gate.in_flight, gate.queue_depth) == (0, 0)
    with gate.enter(visitor()):
        assert gate.in_flight == 1


async def test_deferred_requests_leave_reserved_slots_free():
    """A deferred request waits while only reserved slots are free; a realtime one behind it goes in."""
    gate = Gate(slots=2, queue_limit=2, reserved_slots=1)
    deferred, realtime = visitor(Tier.DEFERRED), visitor()
    with gate.enter(visitor(Tier.DEFERRED)), gate.enter(deferred), gate.enter(realtime):
        assert deferred.turn is not None and not deferred.turn.done()
        assert realtime.turn is None
        assert gate.in_flight == 2


def test_fail_fast_has_no_queue():
    """FAIL_FAST_WHEN_BUSY refuses whenever every slot is busy, whatever the queue's size."""
    gate = Gate(slots=1, queue_limit=10, fails_fast=True)
    with gate.enter(visitor()), pytest.raises(Unavailable):
        gate.check(Tier.REALTIME)


def test_retry_after_is_outstanding_work_over_slots():
    """Refused callers come back when the work in the gate should be done; a fixed time wins."""
    gate = Gate(slots=2, queue_limit=0)
    with gate.enter(visitor(work_s=10)), gate.enter(visitor(work_s=20)):
        assert gate.retry_after_s() == 15
    assert Gate(slots=1, queue_limit=0, fixed_retry_after_s=3).retry_after_s() == 3


def test_work_is_told_by_router():
    """A router can tell its own share from everybody's."""
    gate = Gate(slots=2, queue_limit=0)
    with gate.enter(visitor(work_s=3, router="r1")), gate.enter(visitor(work_s=4, router="r2")):
        assert (gate.work_s(), gate.work_s("r1"), gate.requests_of("r2")) == (7, 3, 1)


def test_refusal_comes_before_everything():
    """A worker that is not ready refuses even when it is empty."""
    gate = Gate(slots=1, queue_limit=1, refusal=lambda: Unavailable(code="draining"))
    with pytest.raises(Unavailable) as refused:
        gate.check(Tier.REALTIME)
    assert refused.value.code == "draining"


async def test_emptied_waits_for_the_last_one():
    """Draining ends when the last request has left, not before."""
    gate = Gate(slots=1, queue_limit=0)
    async with asyncio.TaskGroup() as group:
        with gate.enter(visitor()):
            drained = group.create_task(gate.emptied())
            await asyncio.sleep(0)
            assert not drained.done()
        await drained


async def test_dismissed_waiters_are_told():
    """Whoever still waits when the process must end gets an answer; who runs is not touched."""
    gate = Gate(slots=1, queue_limit=1)
    waiting = visitor()
    with gate.enter(visitor()), gate.enter(waiting):
        gate.dismiss(Unavailable(code="draining"))
        with pytest.raises(Unavailable):
            await gate.turn(waiting)
    assert (gate.in_flight, gate.queue_depth) == (0, 0)
