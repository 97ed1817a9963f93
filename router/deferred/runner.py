"""
Runs jobs: claims them one after the other while there is room, each for the length of a lease that is renewed.

State: which jobs run here, each with the event that stops it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import replace

from fleet.errors import FleetError, Unavailable
from fleet.serve import first_of
from router.caller import Caller
from router.deferred import verdict
from router.deferred.book import Book
from router.deferred.listener import Listener
from router.deferred.record import JobError, Record
from router.deferred.store import JobStore
from router.deferred.verdict import Later, Verdict
from router.door import form_of
from router.intake import Intake

POLL_S = 0.5  # a slot may come free, a wait may end, another router may have taken a job: nobody tells
BEAT_S = 2.0  # how often a lease is renewed at most, and progress written
RUN_S = 24 * 3600  # deadline of a run: several times what the longest clip takes on the slowest worker
STORE_RETRY_S = 1.0

OUTCOMES = ("succeeded", "failed", "postponed")

logger = logging.getLogger(__name__)


class Runner:
    """Sends jobs through the intake, so many at once."""

    def __init__(
        self,
        book: Book,
        intake: Intake,
        *,
        room: Callable[[int, frozenset[str]], int],
        at_once: int,
        on_end: Callable[[Record, Verdict], None],
    ) -> None:
        """`room` is told how many jobs run here, and their request ids; it says how many may run anywhere."""
        self._book = book
        self._intake = intake
        self._room = room
        self._at_once = at_once
        self._on_end = on_end
        self._running: dict[str, asyncio.Event] = {}
        self._news = asyncio.Event()

    def wake(self) -> None:
        """There may be something to do."""
        self._news.set()

    def stop(self, job_id: str) -> None:
        """The job was cancelled: if it runs here, it need not go on."""
        if job_id in self._running:
            self._running[job_id].set()

    async def loop(self) -> None:
        """Claim and run, for ever; cancelled, it puts back what runs."""
        async with asyncio.TaskGroup() as group:
            while True:
                self._news.clear()
                record = await self._next()
                if record is None:
                    with suppress(TimeoutError):  # not wait_for, which in 3.11 may swallow a cancellation
                        async with asyncio.timeout(POLL_S):
                            await self._news.wait()
                    continue
                self._running[record.id] = asyncio.Event()
                group.create_task(self._run(record))

    async def _next(self) -> Record | None:
        may_run = self._room(len(self._running), frozenset(map(request_id, self._running)))
        if len(self._running) >= self._at_once or not may_run:
            return None
        try:
            return await self._book.ask(JobStore.claim, at_most=may_run)
        except Unavailable:
            await asyncio.sleep(STORE_RETRY_S)
            return None

    async def _run(self, record: Record) -> None:
        listener, stop = Listener(), self._running[record.id]
        try:
            await first_of(self._see_through(record, listener), self._hold(record, listener, stop))
        except asyncio.CancelledError:  # this router stops; another, or its successor, goes on
            with suppress(Unavailable):
                await self._write(record, Later(0.0, record.strikes))
            raise
        except Exception:  # the edge: what nobody expected costs this job a strike, and not the router its life
            logger.exception("a job's run failed", extra={"job": record.id})
            await self._settle(record, verdict.of_silence(record.strikes))
        finally:
            del self._running[record.id]
            self.wake()

    async def _see_through(self, record: Record, listener: Listener) -> None:
        await self._settle(record, await self._transcribe(record, listener))

    async def _transcribe(self, record: Record, listener: Listener) -> Verdict:
        now = time.monotonic()
        caller = Caller(
            request_id=request_id(record.id),
            door="job",
            arrived_at=now,
            deadline_at=now + RUN_S,
            tenant=record.tenant,
            is_stored=True,
        )
        fields = [*record.fields, ("progress", "true")]
        body = form_of(fields, self._audio(record), clip_bytes=record.audio_bytes, content_type=record.content_type)
        try:
            await self._intake.serve(caller, replace(body, tier="deferred"), listener)
        except FleetError as error:
            return verdict.of_error(error, record.strikes)
        return listener.verdict(record.strikes)

    async def _audio(self, record: Record) -> AsyncIterator[bytes]:
        """All of it, or an error: half a clip has a wrong transcript."""
        left_bytes, number = record.audio_bytes, 0
        while left_bytes > 0:
            part = await self._book.ask(JobStore.audio, record.id, number)
            if not part:
                raise FleetError("The job's audio is lost.")
            left_bytes, number = left_bytes - len(part), number + 1
            yield part

    async def _hold(self, record: Record, listener: Listener, stop: asyncio.Event) -> None:
        """Renew the lease for as long as it is ours; returns when it is not, or when the job is to stop."""
        beat_s = min(BEAT_S, self._book.store.lease_s / 3)
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(beat_s):
                    await stop.wait()
                    return
            try:
                if not await self._book.ask(JobStore.renew, record.id, record.token, listener.progress):
                    logger.warning("lost the lease of a job", extra={"job": record.id})
                    return
            except Unavailable:
                continue  # the store may be back before the lease ends; if not, the token decides

    async def _settle(self, record: Record, end: Verdict) -> None:
        """Write how the run ended, however long the store takes to be back."""
        while True:
            try:
                is_held = await self._write(record, end)
                break
            except Unavailable:
                await asyncio.sleep(STORE_RETRY_S)
        if is_held:
            self._on_end(record, end)

    async def _write(self, record: Record, end: Verdict) -> bool:
        if isinstance(end, Later):
            return await self._book.ask(JobStore.postpone, record, end)
        return await self._book.ask(JobStore.finish, record.id, record.token, end)


def request_id(job_id: str) -> str:
    """Under which a job's runs stand in logs and in the status."""
    return f"job-{job_id}"


def described(end: Verdict) -> str:
    """One of OUTCOMES, for logs and metrics."""
    if isinstance(end, Later):
        return "postponed"
    return "failed" if isinstance(end, JobError) else "succeeded"
