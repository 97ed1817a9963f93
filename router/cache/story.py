"""One request that may have been asked before: look it up, wait for an equal one, or run it and keep what is whole."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable
from typing import Protocol

from fleet.errors import DeadlineExceeded
from router.cache.answer import Answer
from router.cache.flights import Flight, Flights
from router.cache.guard import Guard
from router.cache.key import key_of
from router.cache.recording import Recording
from router.job import Job, Reply

SWEEP_EVERY_S = 30  # so long may an answer lie about after its time

logger = logging.getLogger(__name__)


class Server(Protocol):
    """What answers a job; the cache is one before another."""

    async def serve(self, job: Job, reply: Reply) -> None:
        """Answer, or raise the FleetError that is the answer."""


class Cache:
    """
    Stands before the dispatcher. State: what happened so far.

    `identity` says what would answer a model's requests now; None is unknown, or not one thing. Counts are `hit`,
    `joined` (followed an equal request), `miss`, and `bypassed`: streams, and workers that disagree.
    """

    def __init__(
        self,
        guard: Guard,
        server: Server,
        *,
        identity: Callable[[str | None], str | None],
        followers_max: int,
        is_shared: bool,
    ) -> None:
        self.guard = guard
        self._server = server
        self._identity = identity
        self._flights = Flights(followers_max)
        self._is_shared = is_shared
        self.counts: Counter[str] = Counter()

    async def serve(self, job: Job, reply: Reply) -> None:
        """As the dispatcher does, often sooner."""
        identity = self._identity(job.model)
        # What a stream's audio was warned of shows only after its headers, and who streams wants to see it grow
        if identity is None or job.request.streams:
            self.counts["bypassed"] += 1
            await self._server.serve(job, reply)
            return
        tenant = "" if self._is_shared else job.tenant
        audio = await job.digest()
        key = key_of(audio=audio, path=job.path, request=job.request, identity=identity, tenant=tenant)
        kept = await self._kept(key)
        if kept is None:
            await self._join_or_run(key, identity, job, reply)
            return
        self.counts["hit"] += 1
        await _say_again(kept, job, reply)

    @property
    def hit_rate(self) -> float:
        """The share answered without a run, of what was looked up; 0 before anything was."""
        hits = self.counts["hit"] + self.counts["joined"]
        return hits / max(1, hits + self.counts["miss"])

    async def sweep_loop(self) -> None:
        """Delete what is past its time, for ever."""
        while True:
            await asyncio.sleep(SWEEP_EVERY_S)
            await self.guard.sweep()

    async def _join_or_run(self, key: str, identity: str, job: Job, reply: Reply) -> None:
        flight_key = f"{key}:{job.request.tier}"  # who is urgent does not follow who is not
        while (flight := self._flights.find(flight_key)) is not None:
            answer = await self._follow(flight, job)
            if answer is not None:
                self.counts["joined"] += 1
                await _say_again(answer, job, reply)
                return
        self.counts["miss"] += 1
        clears = self.guard.clears
        with self._flights.lead(flight_key) as flight:
            recording = Recording(reply)
            try:
                await self._server.serve(job, recording)
                recording.end()
            finally:
                flight.answer = recording.answer
            is_current = self._identity(job.model) == identity and self.guard.clears == clears
            if flight.answer is not None and flight.answer.may_be_kept and is_current:
                await self.guard.put(key, flight.answer.packed())

    async def _follow(self, flight: Flight, job: Job) -> Answer | None:
        try:
            async with asyncio.timeout(job.deadline_at - time.monotonic()):
                return await self._flights.follow(flight)
        except TimeoutError as error:
            raise DeadlineExceeded from error

    async def _kept(self, key: str) -> Answer | None:
        packed = await self.guard.get(key)
        if packed is None:
            return None
        try:
            return Answer.unpacked(packed)
        except ValueError:
            logger.warning("an answer in the cache cannot be read")
            return None


async def _say_again(answer: Answer, job: Job, reply: Reply) -> None:
    """Answer without a worker; the transcript is that of the run that made it, the rest of this request."""
    job.cache = "hit"
    job.decoded_s = answer.audio_s
    headers = answer.headers | job.stamps(time.monotonic())
    await reply.send(answer.status, headers, answer.body_for(job.path))
