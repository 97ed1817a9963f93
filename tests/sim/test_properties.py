"""What holds whatever happens: the shipped router under random arrivals, hang-ups, deadlines and faults."""

import asyncio
import os
from collections import Counter
from dataclasses import dataclass
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.errors import FleetError
from router.probe import TICK_S
from router.queue_order import order_key
from router.settings import RouterSettings
from router.ticket import Ticket
from tests.sim.engine.house import Order, open_house
from tests.sim.engine.machine import Clip
from tests.sim.engine.virtual import simulate

EXAMPLES = 30 * int(os.environ.get("SIM_SEEDS", "5"))
FAULTS = ("crash", "hang", "errors", "busy", "deaf", "slow", "drain", "heal")


@dataclass(frozen=True)
class Call:
    at: float
    order: Order
    patience_s: float | None  # hangs up after this


@dataclass(frozen=True)
class Fault:
    at: float
    machine: int
    kind: str


times = st.floats(0, 40).map(lambda at: round(at, 2))
orders = st.builds(
    Order,
    audio_s=st.sampled_from([1.0, 8.0, 50.0, 200.0, 1000.0]),
    guess_s=st.sampled_from([None, None, 1.0, 500.0]),
    clip=st.sampled_from([Clip.GOOD] * 8 + [Clip.BAD, Clip.POISON]),
    tenant=st.sampled_from(["", "a", "b"]),
    deadline_s=st.sampled_from([None, None, 3.0, 30.0]),
)
calls = st.lists(
    st.builds(Call, at=times, order=orders, patience_s=st.sampled_from([None, None, 0.0, 0.5, 5.0])), max_size=30
)
faults = st.lists(st.builds(Fault, at=times, machine=st.integers(0, 2), kind=st.sampled_from(FAULTS)), max_size=8)


def strike(machine, kind):
    """Let a fault happen."""
    if kind == "crash":
        machine.crash()
    elif kind == "heal":
        heal(machine)
    machine.is_hung |= kind == "hang"
    machine.answers_500 |= kind == "errors"
    machine.answers_busy |= kind == "busy"
    machine.is_deaf |= kind == "deaf"
    machine.is_draining |= kind == "drain"
    machine.slowness = 5.0 if kind == "slow" else machine.slowness


def heal(machine):
    """A new process without faults."""
    machine.crash()
    machine.answers_500 = machine.answers_busy = machine.is_deaf = False
    machine.slowness = 1.0
    machine.start()


class Watch:
    """Looks at a router after every turn of the loop in which something was assigned, and twenty times a second."""

    def __init__(self, house):
        self.house, self.desk = house, house.desk
        self.running = 0
        self.idle_since = {}  # by worker: since when it could have had something to do
        dispatcher, assigner = self.desk.dispatcher, self.desk.assigner
        attempt, start = dispatcher._attempts.run, assigner._start

        async def run(lease, job, reply):
            self.running += 1
            try:
                return await attempt(lease, job, reply)
            finally:
                self.running -= 1

        def started(waiting, worker, now):
            self.check_turn(waiting, worker)
            return start(waiting, worker, now)

        dispatcher._attempts.run, assigner._start = run, started

    def check_turn(self, waiting, worker):
        """P4: of its own tenant, nobody who could go before it is passed."""
        if worker.circuit(self.house.clock.now) != "closed":
            return  # a worker on trial gets the smallest
        passed = [
            each
            for each in self.desk.queue
            if each.tenant == waiting.tenant
            and each.key < waiting.key
            and self.desk.assigner.may_take(worker, each, self.house.clock.now)
        ]
        assert not passed

    async def look(self):
        """P1, P2 and P7, for ever."""
        while True:
            await asyncio.sleep(0.0497)
            for _ in range(5):
                await asyncio.sleep(0)
            now, pool = self.house.clock.now, self.desk.pool
            assert all(len(worker.leases) <= worker.slots for worker in pool)
            assert pool.in_flight() == self.running
            idle = [
                worker.url
                for worker in pool.available(now)
                if any(self.desk.assigner.may_take(worker, each, now) for each in self.desk.queue)
            ]
            self.idle_since = {url: self.idle_since.get(url, now) for url in idle}
            waits = [now - since for since in self.idle_since.values()]
            assert max(waits, default=0) <= TICK_S + 0.05, "work and a free worker side by side, for longer than a tick"


async def heal_all(house):
    """From the second minute on, a supervisor that brings every worker back."""
    await asyncio.sleep(60)
    while True:
        for machine in house.workers:
            if not machine.is_up or machine.is_hung or machine.answers_500 or machine.answers_busy:
                heal(machine)
            machine.is_deaf = machine.is_draining = False
        await asyncio.sleep(5)


async def play(house, some_calls, some_faults):
    """Everything at its time; then all workers are healed, and whoever is left is served."""
    outcomes = []

    async def call(one):
        await asyncio.sleep(one.at)
        try:
            async with asyncio.timeout(one.patience_s):
                job = await house.desk.post(one.order, on_start=lambda _: None)
            outcomes.append("ok" if job.decoded_s >= 0 else "bad")
        except FleetError as error:
            outcomes.append(error.code)
        except TimeoutError:
            outcomes.append("hung up")

    async def fault(one):
        await asyncio.sleep(one.at)
        strike(house.workers[one.machine], one.kind)

    async with asyncio.TaskGroup() as group:
        healing = group.create_task(heal_all(house))
        async with asyncio.TaskGroup() as stories:
            for one in some_calls:
                stories.create_task(call(one))
            for one in some_faults:
                stories.create_task(fault(one))
        healing.cancel()
    return outcomes


@settings(max_examples=EXAMPLES, derandomize=True, database=None)
@given(some_calls=calls, some_faults=faults, slots=st.integers(1, 3), seed=st.integers(0, 5))
def test_whatever_happens_slots_callers_and_bytes_are_accounted_for(some_calls, some_faults, slots, seed):
    """
    P1 no worker has more than its slots; P2 leases are running attempts, none at the end; P3 each caller has one
    answer; P4 nobody is passed by one of its own tenant that is later in the order; P5 spooled bytes return to 0; P7 a
    free worker and a request that it could take stand side by side for no longer than a tick.
    """

    async def story(clock):
        async with open_house(clock, workers=3, slots=slots, seed=seed) as house:
            watch = Watch(house)
            async with asyncio.TaskGroup() as group:
                looking = group.create_task(watch.look())
                outcomes = await play(house, some_calls, some_faults)
                looking.cancel()
            desk = house.desk
            assert len(outcomes) == len(some_calls)
            assert all(machine.most_running <= slots for machine in house.workers)
            assert watch.running == desk.pool.in_flight() == len(desk.queue) == 0
            assert desk.budget.retrying == desk.spool.memory_bytes == desk.spool.disk_bytes == 0
            assert all(machine.is_idle for machine in house.workers)
            return Counter(outcomes)

    simulate(story)


@settings(max_examples=EXAMPLES, derandomize=True, database=None)
@given(some_calls=calls)
def test_without_faults_everyone_is_served_or_told_why(some_calls):
    """
    P3 on a healthy fleet: only what the caller brought about itself is not answered with a transcript.
    """
    healthy = [one for one in some_calls if one.order.clip is not Clip.POISON]

    async def story(clock):
        async with open_house(clock, workers=3) as house:
            return await play(house, healthy, [])

    assert set(simulate(story)) <= {"ok", "bad", "hung up", "deadline_exceeded", "overloaded"}


@settings(max_examples=200, derandomize=True, database=None)
@given(early=st.floats(0, 1e4), later_s=st.floats(1e-6, 1e4), small_s=st.floats(0, 1e4), large_s=st.floats(0, 1e4))
def test_overtaking_is_bounded(early, later_s, small_s, large_s):
    """
    P4: who arrived more than alpha * log2(1 + work / 0.1 s) later is behind, however small; 95 s for an hour of audio.
    """
    alpha_s = RouterSettings().order_alpha_s
    first, second = order_key(early, large_s), order_key(early + later_s, small_s)

    if later_s > order_key(0, large_s, alpha_s=alpha_s):
        assert first < second
    assert order_key(0, 72.0) <= 95.1


@settings(max_examples=200, derandomize=True, database=None)
@given(
    refusals=st.lists(
        st.tuples(st.floats(0, 5), st.floats(0, 1e4), st.floats(0, 100)).map(lambda each: tuple(map(float, each)))
    ),
    seed=st.integers(0, 9),
)
def test_retry_after_stays_in_bounds_and_the_horizon_only_recedes(refusals, seed):
    """
    P6: every answer is within 1..60 s, and who is refused later has a later turn.
    """
    ticket, now, horizon = Ticket(Random(seed)), 0.0, 0.0
    for gap_s, room_in_s, turn_s in refusals:
        now += gap_s
        assert 1 <= ticket.refuse(now, room_in_s=room_in_s, turn_s=turn_s) <= 60
        assert now + ticket.ahead_s(now) >= horizon - 1e-6
        horizon = now + ticket.ahead_s(now) if ticket.ahead_s(now) else horizon
