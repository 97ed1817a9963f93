"""
One request from the door to its answer: admit, wait, lease, attempt, retry or give up, within its deadline.

This is the story that the rest of the router serves. It holds no state of its own: the queue has who waits, the pool
who runs, the job what happened to it so far.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Protocol

from fleet.errors import AudioRejected, DeadlineExceeded, UpstreamFailed
from fleet.render import HEARTBEAT_S
from router.admission import Admission
from router.assign import Assigner
from router.attempt import Outcome
from router.job import Job, Reply
from router.pool import Pool
from router.queue_order import Queue, Waiting
from router.retry import Failure, Quarantine, RetryBudget, Step, next_step
from router.upstream import Lease

RETRY_PAUSE_S = 0.1  # at most; drawn at random, so that what failed together does not return together


class Attempt(Protocol):
    """One try on one worker (router.attempt)."""

    async def run(self, lease: Lease, job: Job, reply: Reply) -> Outcome:
        """Try once; failures are outcomes."""


@dataclass(frozen=True, slots=True)
class Floor:
    """Where requests and workers meet: who waits, who works, who is let in, who gets whom."""

    queue: Queue
    pool: Pool
    admission: Admission
    assigner: Assigner


class Dispatcher:
    """Sees requests through, any number at once."""

    def __init__(
        self,
        floor: Floor,
        attempts: Attempt,
        *,
        budget: RetryBudget,
        quarantine: Quarantine,
        retry_limit: int,
        alpha_s: float,
        on_attempt: Callable[[Job, Lease, Outcome, float], None],
        rng: Random,
    ) -> None:
        self.floor = floor
        self._attempts = attempts
        self._budget = budget
        self._quarantine = quarantine
        self._retry_limit = retry_limit
        self._alpha_s = alpha_s
        self.on_attempt = on_attempt
        self._rng = rng

    async def serve(self, job: Job, reply: Reply) -> None:
        """
        Answer the caller, or raise the FleetError that is the answer.

        A caller who hangs up cancels this: the queue entry, the slot and the connection to the worker go with it.
        """
        try:
            async with asyncio.timeout(job.deadline_at - time.monotonic()):
                await self._check_quarantine(job)
                self.floor.admission.check(job.ask, time.monotonic())
                await self._until_answered(job, reply)
        except TimeoutError as error:
            raise DeadlineExceeded from error

    async def _until_answered(self, job: Job, reply: Reply) -> None:
        with ExitStack() as retrying:
            while True:
                async with self._slot(job, reply) as lease:
                    outcome = await self._attempt(lease, job, reply)
                    if outcome.failure is None:
                        return
                    step = self._after(outcome.failure, lease, job)  # before the slot is free for the next
                if step is Step.REJECT:
                    await self._reject(job)
                if step is Step.FAIL:
                    raise UpstreamFailed
                if step is Step.RETRY:
                    retrying.pop_all().close()
                    retrying.enter_context(self._budget.retry())  # before the pause, or all that fail at once pass
                    await asyncio.sleep(self._rng.uniform(0, RETRY_PAUSE_S))

    @asynccontextmanager
    async def _slot(self, job: Job, reply: Reply) -> AsyncIterator[Lease]:
        """Wait for a slot and hold it for the block; then whoever is next may have it."""
        turn: asyncio.Future[Lease] = asyncio.get_running_loop().create_future()
        waiting = self._waiting(job, turn)
        since = time.monotonic()
        self.floor.queue.add(waiting)
        try:
            self.assign()
            with job.span.child("queue"):
                lease = await self._turn(turn, job, reply)
            job.queued_s += time.monotonic() - since
            yield lease
        finally:
            self.floor.queue.remove(waiting)
            if turn.done() and not turn.cancelled():
                self.floor.assigner.end(turn.result(), time.monotonic())
            self.assign()

    def assign(self) -> None:
        """Give free slots to whoever is next; called whenever a slot or a request may have come free."""
        self.floor.assigner.run(time.monotonic())

    def _waiting(self, job: Job, turn: asyncio.Future[Lease]) -> Waiting:
        def start(lease: Lease) -> None:
            lease.label = job.request_id
            if turn.done():  # the caller hung up in this very moment
                self.floor.assigner.end(lease, time.monotonic())
            else:
                turn.set_result(lease)

        return Waiting(
            arrived_at=job.arrived_at,
            audio_s=job.audio_s,
            est_s=self.floor.pool.cost().seconds(job.audio_s),
            start=start,
            tenant=job.tenant,
            tier=job.request.tier,
            model=job.model,
            client_retries=job.client_retries,
            tried=job.tried,
            is_suspect=job.history.deaths > 0,
            alpha_s=self._alpha_s,
        )

    async def _turn(self, turn: asyncio.Future[Lease], job: Job, reply: Reply) -> Lease:
        """The lease, when it comes. Streams get a sign of life at once and every ten seconds."""
        while job.request.streams and not turn.done():
            await reply.keep_alive()
            await asyncio.wait({turn}, timeout=HEARTBEAT_S)
        return await turn

    async def _attempt(self, lease: Lease, job: Job, reply: Reply) -> Outcome:
        job.history.attempts += 1
        job.worker = lease.worker.name
        started = time.monotonic()
        with job.span.child("attempt") as span:
            job.trace_headers = span.headers
            outcome = await self._attempts.run(lease, job, reply)
            ended = outcome.failure.name.lower() if outcome.failure else outcome.status
            span.note(fleet_worker=lease.worker.name, fleet_outcome=ended)
        now = time.monotonic()
        if outcome.failure is None:
            job.decoded_s = outcome.audio_s
            lease.audio_s = outcome.audio_s or lease.audio_s
            self.floor.pool.succeeded(lease, now, now - started if outcome.status < 400 else 0.0)
        self.on_attempt(job, lease, outcome, now - started)
        return outcome

    def _after(self, failure: Failure, lease: Lease, job: Job) -> Step:
        """Tell the pool how it failed, and decide what follows for the request."""
        pool, worker, now = self.floor.pool, lease.worker, time.monotonic()
        at_once = worker.slots if failure is Failure.LOST else 0  # all that it runs fail when it dies
        in_flight = pool.in_flight() + len(self.floor.queue)
        has_budget = partial(self._budget.has_room, in_flight, at_once)
        step = next_step(failure, job.history, has_budget=has_budget, retry_limit=self._retry_limit)
        if failure is Failure.BUSY:
            job.history.attempts -= 1
            pool.was_busy(worker, now)
        else:
            job.tried.add(lease.boot)
            pool.failed(worker, now, failure.name.lower())
        return step

    async def _check_quarantine(self, job: Job) -> None:
        now = time.monotonic()
        if not job.is_stored and not self._quarantine.is_empty(now) and self._quarantine.holds(await job.digest(), now):
            raise AudioRejected

    async def _reject(self, job: Job) -> None:
        self._quarantine.add(await job.digest(), time.monotonic())
        raise AudioRejected
