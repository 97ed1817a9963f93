"""
A simulated house: machines, one or several routers over them, and callers, all on one virtual clock.

`Desk` is the counterpart of router.app and router.api: it builds the shipped parts the way router.app does and takes a
request through the door the way router.api does. Queue, pool, assigner, policy, admission, ticket, ejection, budget,
dispatcher and probe loop are the shipped ones.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any, cast

from fleet.fields import TranscriptionRequest
from fleet.wire import Tier
from router.admission import Admission
from router.assign import Assigner
from router.attempt import Outcome
from router.dispatch import Dispatcher, Floor
from router.ejection import Ejection
from router.job import Job
from router.policy import POLICIES
from router.pool import Pool
from router.queue_order import Queue
from router.retry import Quarantine, RetryBudget
from router.settings import RouterSettings
from router.spool import Spool, SpoolBudget
from router.ticket import Ticket
from router.upstream import Lease
from tests.sim.engine.line import Line, LineProbe
from tests.sim.engine.machine import Clip, Machine
from tests.sim.engine.virtual import Clock

BODY = b"audio"  # the spool is shipped as well; what it holds does not matter here


@dataclass(slots=True, kw_only=True)
class SimJob(Job):
    """A job that carries what only the simulated worker may know."""

    true_audio_s: float = 0.0
    clip: Clip = Clip.GOOD
    on_start: Callable[[Lease], None] = lambda _: None


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a caller brings."""

    audio_s: float
    guess_s: float | None = None  # seconds of audio as the router estimates them; None is exact
    clip: Clip = Clip.GOOD
    tenant: str = ""
    tier: Tier = Tier.REALTIME
    name: str = ""  # equal names are equal bodies; without one it is the only one of its kind
    deadline_s: float | None = None


class Silence:
    """A caller's end that nobody reads."""

    has_content = False
    status = 0

    async def send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        assert not self.status, "a caller is answered once"
        self.status = status

    async def start(self, status: int, headers: dict[str, str]) -> None: ...
    async def write(self, chunk: bytes) -> None: ...
    async def keep_alive(self) -> None: ...


class Desk:
    """One router."""

    def __init__(self, settings: RouterSettings, machines: dict[str, Machine], clock: Clock, rng: Random, name: str):
        self.clock, self.settings, self.name = clock, settings, name
        self.queue, self.pool, self.ticket = Queue(settings.max_queue), Pool(rng, self._new_ejection), Ticket(rng)
        self.budget = RetryBudget(settings.retry_share, settings.retry_least)
        self.spool = SpoolBudget(memory_bytes=1 << 20, disk_bytes=0)
        self.attempts: Counter[str] = Counter()  # by failure, or "ok"
        self.most_retrying = 0.0  # beyond a fifth of what is in flight
        limits = {"max_wait_s": settings.max_wait_s, "alpha_s": settings.order_alpha_s}
        self.admission = Admission(self.queue, self.pool, self.ticket, **limits)
        policy = POLICIES[settings.balance](self.pool, rng)
        self.assigner = Assigner(self.queue, self.pool, policy, reserved_slots=settings.realtime_reserved_slots)
        self.dispatcher = Dispatcher(
            Floor(self.queue, self.pool, self.admission, self.assigner),
            Line(machines, self.pool, clock, router_id=name),
            budget=self.budget,
            quarantine=Quarantine(),
            retry_limit=settings.retry_limit,
            alpha_s=settings.order_alpha_s,
            on_attempt=self._on_attempt,
            rng=rng,
        )
        self._probe = LineProbe(
            machines,
            self.pool,
            router_id=name,
            interval_s=settings.probe_interval_s,
            timeout_s=settings.probe_timeout_s,
            misses_limit=settings.probe_misses,
            on_change=self.dispatcher.assign,
            rng=rng,
        )
        self.pool.set_known(machines, clock.now)

    def _new_ejection(self) -> Ejection:
        return Ejection(
            failures_limit=self.settings.eject_failures,
            base_s=self.settings.eject_base_s,
            max_s=self.settings.eject_max_s,
        )

    async def loop(self, after_s: float = 0.0) -> None:
        """Probe for ever; several routers do not do it in step."""
        await asyncio.sleep(after_s)
        await self._probe.loop()

    async def post(self, order: Order, *, client_retries: int = 0, on_start: Callable[[Lease], None]) -> SimJob:
        """One upload: the answered job, or the FleetError that is the answer (as router.api does it)."""
        job = self._job(order, client_retries, on_start)
        reply = Silence()
        async with Spool(self.spool) as job.spool:
            await job.spool.write(BODY)
            await job.spool.seal()
            await self.dispatcher.serve(job, reply)
        job.decoded_s = job.decoded_s if reply.status < 400 else -1.0
        return job

    def _job(self, order: Order, client_retries: int, on_start: Callable[[Lease], None]) -> SimJob:
        async def digest() -> str:
            return order.name or str(id(order))

        now = self.clock.now
        return SimJob(
            path="/v1/audio/transcriptions",
            content_type="",
            request=TranscriptionRequest(tier=order.tier),
            model=None,
            spool=cast(Any, None),
            digest=digest,
            audio_s=order.audio_s if order.guess_s is None else order.guess_s,
            request_id="",
            arrived_at=now,
            deadline_at=now + (order.deadline_s or self.settings.default_deadline_s),
            tenant=order.tenant,
            client_retries=client_retries,
            true_audio_s=order.audio_s,
            clip=order.clip,
            on_start=on_start,
        )

    def _on_attempt(self, _job: Job, _lease: Lease, outcome: Outcome, _took_s: float) -> None:
        self.attempts[outcome.failure.name.lower() if outcome.failure else "ok"] += 1
        in_flight = self.pool.in_flight() + len(self.queue)
        self.most_retrying = max(self.most_retrying, self.budget.retrying - self.settings.retry_share * in_flight)


@dataclass(slots=True)
class House:
    """Everything that runs."""

    clock: Clock
    rng: Random
    machines: dict[str, Machine] = field(default_factory=dict)
    desks: list[Desk] = field(default_factory=list)

    @property
    def desk(self) -> Desk:
        """The only router, or the first."""
        return self.desks[0]

    @property
    def workers(self) -> list[Machine]:
        """Machines in order."""
        return list(self.machines.values())

    @property
    def slots(self) -> int:
        """Of all machines."""
        return sum(machine.slots for machine in self.workers)


@asynccontextmanager
async def open_house(
    clock: Clock,
    *,
    workers: int = 4,
    routers: int = 1,
    seed: int = 0,
    settings: RouterSettings | None = None,
    **machine: Any,
) -> AsyncIterator[House]:
    """Start machines and routers, wait until every router knows every machine, stop them at the end of the block."""
    settings = replace(settings or RouterSettings(), workers=("simulated",))
    house = House(clock, Random(seed))
    for number in range(workers):
        url = f"http://w{number + 1}"
        house.machines[url] = Machine(url=url, rng=Random(seed * 1000 + number), **machine)
        house.machines[url].start()
    for number in range(routers):
        rng = Random(seed * 100 + number)
        house.desks.append(Desk(settings, house.machines, clock, rng, f"r{number + 1}"))
    async with asyncio.TaskGroup() as group:
        offsets = [number * 0.2 / routers for number in range(routers)]  # of the probe's tick of 0.2 s
        loops = [group.create_task(desk.loop(after_s)) for desk, after_s in zip(house.desks, offsets, strict=True)]
        await asyncio.sleep(offsets[-1] + 0.01)
        yield house
        for loop in loops:
            loop.cancel()
