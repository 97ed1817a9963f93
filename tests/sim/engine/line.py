"""
The wire between a router and simulated workers: router.attempt and the question of router.probe without HTTP.

Keep this side by side with router/attempt.py: it names failures the way `Attempts.run` does and tells the pool the same
things at the same moments. It is the only part of a request's way through the router that is not the shipped code.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from errno import ECONNREFUSED
from typing import Any, cast

import aiohttp
from aiohttp.client_reqrep import ConnectionKey

from fleet.wire import LoadReport
from router.attempt import Outcome, _told_when_lost, failure_of
from router.job import Job, Reply
from router.pool import Pool
from router.probe import Probe
from router.retry import Failure
from router.upstream import Lease, Worker
from tests.sim.engine.machine import Clip, Machine, Refused, Reset, Unreachable
from tests.sim.engine.virtual import Clock

Machines = Mapping[str, Machine]


class Line:
    """Carries one attempt to a machine; the counterpart of router.attempt.Attempts."""

    def __init__(self, machines: Machines, pool: Pool, clock: Clock, *, router_id: str) -> None:
        self._machines = machines
        self._pool = pool
        self._clock = clock
        self._router_id = router_id

    async def run(self, lease: Lease, job: Job, reply: Reply) -> Outcome:
        """Try once."""
        try:
            async with asyncio.timeout(None) as scope:
                with _told_when_lost(lease, scope):
                    return await self._exchange(lease, cast(Any, job), reply)
        except TimeoutError:
            return Outcome(Failure.LOST, detail="the worker stopped answering")
        except Refused:
            self._pool.refused(lease.worker, self._clock.now)
            return Outcome(Failure.CONNECT, detail="refused")
        except Unreachable:
            return Outcome(Failure.CONNECT, detail="cannot connect")
        except Reset:
            return Outcome(Failure.LOST, detail="reset")

    async def _exchange(self, lease: Lease, job: Any, reply: Reply) -> Outcome:
        machine = self._machines[lease.worker.url]
        clip: Clip = job.clip
        answer = await machine.transcribe(self._router_id, clip, job.true_audio_s, lambda: job.on_start(lease))
        self._pool.heard(lease.worker, answer.report, self._clock.now)
        failure = failure_of(cast(aiohttp.ClientResponse, answer))
        if failure is not None:
            return Outcome(failure, answer.status)
        await reply.send(answer.status, {}, b"")
        return Outcome(None, answer.status, audio_s=answer.audio_s)


class LineProbe(Probe):
    """The shipped probe loop, asking machines in place of URLs."""

    def __init__(self, machines: Machines, pool: Pool, *, timeout_s: float, router_id: str, **settings: Any) -> None:
        super().__init__(cast(Any, None), pool, timeout_s=timeout_s, router_id=router_id, **settings)
        self._machines = machines
        self._patience_s = timeout_s
        self._router_id = router_id

    async def _report(self, worker: Worker) -> LoadReport:
        try:
            return await self._machines[worker.url].load(self._router_id)
        except TimeoutError:
            await asyncio.sleep(self._patience_s)
            raise
        except Refused as error:
            key = ConnectionKey(worker.url, 80, False, True, None, None, None)
            raise aiohttp.ClientConnectorError(key, OSError(ECONNREFUSED, os.strerror(ECONNREFUSED))) from error
