"""
Everything at once, by a dice: workers that fail in every way, callers who leave at any moment, an operator who drains.

No outcome of a single request is asserted, only what holds whatever happens: nothing is held in the end, every request
was counted once, and nothing happened that nobody expected.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from random import Random
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from tests.router.scripted import (
    ScriptedFleet,
    ScriptedWorker,
    answer,
    answers,
    dies,
    form,
    says_busy,
    scripted_fleet,
    stamped,
    until,
)

ADMIN = "an admin's key"
SERVER = "aiohttp.server"  # of the scripted workers, whose router hangs up
EVENTS = b': on it\n\ndata: {"delta":"a"}\n\ndata: {"text":"a b"}\n\n'
OUTCOMES = ("ok", "caller_error", "refused", "cancelled", "deadline", "failed")
SETTINGS: dict[str, Any] = {
    "cache": "memory", "max_queue": 30, "max_wait_s": 5, "spool_memory_mb": 0.5, "admin_key": ADMIN,
    "connect_timeout_s": 0.5, "eject_base_s": 0.2,
}  # fmt: skip


class Dice:
    """What happens next."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(seed)

    async def behave(self, worker: ScriptedWorker, request: web.Request) -> web.StreamResponse:
        """A worker's way with one request."""
        odd = [dies, answers(500), answers(502), answers(400), says_busy]
        if self.rng.random() < 0.25:
            return await self.rng.choice(odd)(worker, request)
        await asyncio.sleep(self.rng.uniform(0, 0.1))
        if b'name="stream"' in worker.bodies[-1]:
            return await self._in_pieces(worker, request, EVENTS, "text/event-stream")
        if self.rng.random() < 0.3:
            return await self._in_pieces(worker, request, b'{"text":"a b"}', "application/json")
        return await answer(worker, request)

    async def _in_pieces(self, worker: ScriptedWorker, request: web.Request, body: bytes, kind: str) -> Any:
        """Cut anywhere, and now and then for good."""
        stream = web.StreamResponse(headers=stamped(worker, **{"Content-Type": kind}))
        await stream.prepare(request)
        cut = self.rng.randrange(len(body))
        await stream.write(body[:cut])
        await asyncio.sleep(self.rng.uniform(0, 0.02))
        if self.rng.random() < 0.2:
            return await dies(worker, request)
        await stream.write(body[cut:])
        return stream

    async def call(self, fleet: ScriptedFleet) -> None:
        """A caller, who may have little time, and may leave."""
        body = b"RIFF" + bytes([self.rng.randrange(4)]) * self.rng.choice([10, 300_000, 1_500_000])
        sent = {"stream": "true"} if self.rng.random() < 0.3 else {}
        sent["header_X-Request-Timeout"] = self.rng.choice(["0.05", "1", "20"])
        sent["header_Authorization"] = f"Bearer key{self.rng.randrange(3)}"
        try:
            async with asyncio.timeout(self.rng.choice([0.01, 0.05, 0.2, 30, 30])):
                await fleet.transcribe(body, **sent)
        except (TimeoutError, aiohttp.ClientError):
            return

    async def batch(self, fleet: ScriptedFleet) -> None:
        """Several clips at once, of a caller who may leave."""
        clips = form(b"RIFF1")
        clips.add_field("file", b"RIFF2", filename="2.wav")
        try:
            async with (
                asyncio.timeout(self.rng.choice([0.05, 30])),
                fleet.client.post(f"{fleet.url}/v1/audio/transcriptions_batch", data=clips) as response,
            ):
                await response.read()
        except (TimeoutError, aiohttp.ClientError):
            return

    async def operate(self, fleet: ScriptedFleet, times: int) -> None:
        """An operator's verbs; workers that restart, or answer no probes; in the end all are well."""
        for _ in range(times):
            worker = self.rng.choice(fleet.workers)
            await order(fleet, worker, self.rng.choice(["drain", "undrain", "undrain", "reset"]))
            if self.rng.random() < 0.2:
                worker.report = replace(worker.report, boot=worker.report.boot + "x")
            worker.answers_probes = self.rng.random() < 0.8
            await asyncio.sleep(0.1)
        for worker in fleet.workers:
            worker.answers_probes, worker.behaviour = True, answer
            await order(fleet, worker, "undrain")


async def order(fleet: ScriptedFleet, worker: ScriptedWorker, verb: str) -> None:
    headers = {"Authorization": f"Bearer {ADMIN}"}
    async with fleet.client.post(f"{fleet.url}/admin/workers/{worker.name}/{verb}", headers=headers) as response:
        assert response.status == 200


async def arrivals(rng: Random, count: int) -> AsyncIterator[int]:
    for number in range(count):
        yield number
        await asyncio.sleep(rng.expovariate(60))


@pytest.mark.parametrize("seed", [1, 2])
async def test_whatever_happens_nothing_is_left_and_all_is_counted(seed: int, caplog: pytest.LogCaptureFixture):
    """Leases, queue, spool, retries and followers are back to nothing; outcomes add up; no error was unexpected."""
    caplog.set_level(logging.WARNING)
    dice = Dice(seed)
    async with scripted_fleet(4, slots=3, **SETTINGS) as fleet:
        for worker in fleet.workers:
            worker.behaviour = dice.behave
        async with asyncio.TaskGroup() as group:
            group.create_task(dice.operate(fleet, 25))
            async for number in arrivals(dice.rng, 120):
                group.create_task(dice.batch(fleet) if number % 10 == 0 else dice.call(fleet))
        await until(fleet.is_clean, "nothing held", within_s=60)
        service = fleet.service
        totals, flights = (await fleet.status())["totals"], service.cache._flights  # type: ignore[union-attr]
        assert (await fleet.transcribe())[0] == 200

    counted = service._ledger.totals
    assert totals["requests"] == sum(counted[name] for name in OUTCOMES) - 1  # that of the good one at the end
    assert service._budget.retrying == flights.followers == len(flights._by_key) == 0
    unexpected = [record for record in caplog.records if record.levelno >= logging.ERROR and record.name != SERVER]
    assert not unexpected
