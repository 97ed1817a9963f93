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


async def test_a_body_on_its_way_holds_a_place_but_no_slot():
    """Places bound the uploads; the slot goes to whoever is ready to use it."""
    gate = Gate(slots=1, queue_limit=1)
    slow, quick = visitor(), visitor()
    with gate.enter(slow), gate.enter(quick):
        await gate.turn(quick)
        assert (gate.in_flight, gate.queue_depth) == (1, 1)
        with pytest.raises(Unavailable):
            gate.check(Tier.REALTIME)


async def test_a_cancelled_waiter_leaves_its_place():
    """Hanging up while waiting frees the place, and the slot goes to the next."""
    gate = Gate(slots=1, queue_limit=2)
    holder, last = visitor(), visitor()

    async def wait(one: Admission) -> None:
        with gate.enter(one):
            await gate.turn(one)

    async with asyncio.TaskGroup() as group:
        with gate.enter(holder):
            await gate.turn(holder)
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
        with gate.enter(holder := visitor()):
            await gate.turn(holder)
            waiter = group.create_task(wait())
            await asyncio.sleep(0)
        assert gate.in_flight == 1
        waiter.cancel()
    assert (gate.in_flight, gate.queue_depth) == (0, 0)
    with gate.enter(last := visitor()):
        await gate.turn(last)
        assert gate.in_flight == 1


async def test_deferred_requests_leave_reserved_slots_free():
    """A deferred request waits while only reserved slots are free; a realtime one behind it goes in."""
    gate = Gate(slots=2, queue_limit=2, reserved_slots=1)
    first, second, realtime = visitor(Tier.DEFERRED), visitor(Tier.DEFERRED), visitor()
    async with asyncio.TaskGroup() as group:
        with gate.enter(first), gate.enter(second), gate.enter(realtime):
            await gate.turn(first)
            waiting = group.create_task(gate.turn(second))
            await asyncio.sleep(0)
            await gate.turn(realtime)
            assert not waiting.done()
            assert (gate.in_flight, gate.queue_depth) == (2, 1)
            waiting.cancel()


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
    holder, waiting = visitor(), visitor()
    async with asyncio.TaskGroup() as group:
        with gate.enter(holder), gate.enter(waiting):
            await gate.turn(holder)
            asleep = group.create_task(told(gate, waiting))
            await asyncio.sleep(0)
            gate.dismiss(Unavailable(code="draining"))
            assert await asleep == "draining"
    assert (gate.in_flight, gate.queue_depth) == (0, 0)


async def told(gate: Gate, one: Admission) -> str:
    try:
        await gate.turn(one)
    except Unavailable as refusal:
        return refusal.code
    return ""


def test_a_routers_request_does_not_wait_here():
    """What a router sends is started or sent back: it has a better queue than this one."""
    gate = Gate(slots=1, queue_limit=10)

    with gate.enter(visitor(router="r1")):
        with pytest.raises(Unavailable), gate.enter(visitor(router="r2")):
            pass
        with gate.enter(visitor()):
            assert gate.queue_depth == 2  # neither holds a slot yet
