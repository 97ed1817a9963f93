"""
What holds for every door alike: keys, limits, a drain, the one queue and its tiers.

A door here is how its caller asks, and how it is told: None for a transcript, else the error's code. What Wyoming and
live sessions have of their own (no keys; sessions that are no requests) is in test_wyoming.py and realtime/.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from functools import partial

import aiohttp
import pytest
from wyoming.asr import Transcript

from fleet import wire
from router.limits import Limits
from tests.integration.processes import free_port
from tests.router.deferred.jobs_fleet import JobsFleet, made_keys
from tests.router.realtime.test_websocket import BY_HAND, COMMIT, append, line
from tests.router.scripted import HoldGate, ScriptedFleet, answer, scripted_fleet, until
from tests.router.test_wyoming import connect, hear, say

LONG = b"RIFF" + b"x" * 3_200_000  # a hundred seconds of audio, by its size
SHORT = b"RIFFshort"
DEFERRED = {wire.TIER: "deferred"}
NO_KEY = {"Authorization": "Bearer wrong"}

Call = Callable[..., Awaitable[str | None]]


async def form(fleet: ScriptedFleet, clip: bytes = SHORT, *, path: str, part: str = "file", headers=None) -> str | None:
    data = aiohttp.FormData()
    data.add_field(part, clip, filename="a.wav", content_type="audio/wav")
    async with fleet.client.post(fleet.url + path, data=data, headers=headers) as response:
        told = await response.json(content_type=None)
        told = told["results"][0] if "results" in told else told
        return told["error"]["code"] if "error" in told else None


async def job(fleet: ScriptedFleet, clip: bytes = SHORT, *, headers=None) -> str | None:
    key = (headers or {}).get("Authorization", "").removeprefix("Bearer ")
    caller = JobsFleet(fleet)
    status, told = await caller.post(clip, key=key)
    if status != 202:
        return told["error"]["code"]
    record = await caller.ended(told["id"], key=key)
    return record["error"]["code"] if record["error"] else None


async def realtime(fleet: ScriptedFleet, _: bytes = SHORT, *, headers=None) -> str | None:
    try:
        async with line(fleet, headers=headers) as caller:
            await caller.says(BY_HAND, append(), COMMIT)
            while (event := await caller.hears(""))["type"].rpartition(".")[2] not in ("completed", "failed", "error"):
                pass
            return event["error"]["code"] if "error" in event else None
    except aiohttp.WSServerHandshakeError as refused:
        return {401: "invalid_api_key", 503: "draining"}[refused.status]


async def wyoming(fleet: ScriptedFleet, _: bytes = SHORT) -> str | None:
    async with connect(fleet) as client:
        await say(client)
        event, _ = await hear(client, Transcript)
        return None if event.text else "nothing"


LIVE: dict[str, Call] = {
    "transcriptions": partial(form, path="/v1/audio/transcriptions"),
    "translations": partial(form, path="/v1/audio/translations"),
    "batch": partial(form, path="/v1/audio/transcriptions_batch"),
    "transcribe": partial(form, path="/transcribe", part="audio"),
    "asr": partial(form, path="/asr?output=json", part="audio_file"),
}


def doors(**calls: Call) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("call", calls.values(), ids=calls)


@pytest.fixture
def doors_fleet(tmp_path):
    """A scripted fleet that takes jobs as well."""
    return partial(scripted_fleet, jobs=f"sqlite:///{tmp_path}/jobs.sqlite")


def bearer(folder, **limits):
    """A file of keys with one in it, as a setting, and the header that sends the key."""
    (key,) = made_keys(folder / "keys.json", Limits(**limits))
    return {"api_keys_file": str(folder / "keys.json")}, {"Authorization": f"Bearer {key}"}


@doors(**LIVE, realtime=realtime, job=job)
async def test_nobody_without_a_key(call, doors_fleet, tmp_path):
    """No worker hears of a clip that came with none, or with a wrong one."""
    settings, header = bearer(tmp_path)
    async with doors_fleet(1, **settings) as fleet:
        for wrong in ({}, NO_KEY):
            assert await call(fleet, headers=wrong) == "invalid_api_key"
        assert fleet.workers[0].requests == 0
        assert await call(fleet, headers=header) is None


@doors(**LIVE, realtime=realtime)
async def test_a_keys_limits_hold(call, doors_fleet, tmp_path):
    """One at a time means one at a time, two an hour two: whatever the key's holder asks with."""
    settings, header = bearer(tmp_path, requests=2, per_s=3600, concurrency=1)
    async with doors_fleet(2, **settings) as fleet:
        gate = fleet.workers[0].behaviour = fleet.workers[1].behaviour = HoldGate()
        async with asyncio.TaskGroup() as group:
            first = group.create_task(call(fleet, headers=header))
            await gate.arrived.wait()
            assert await call(fleet, headers=header) == "concurrency_limit"
            gate.release.set()
        assert first.result() is None
        assert [await call(fleet, headers=header) for _ in range(2)] == [None, "rate_limit_exceeded"]
        assert sum(worker.requests for worker in fleet.workers) == 2


async def test_a_keys_limits_hold_for_its_jobs(doors_fleet, tmp_path):
    """A job that comes too early waits until the limit lets it, and is not refused."""
    settings, header = bearer(tmp_path, requests=2, per_s=2, concurrency=1)
    async with doors_fleet(4, **settings) as fleet:
        async with asyncio.TaskGroup() as group:
            jobs = [group.create_task(job(fleet, headers=header)) for _ in range(3)]
        assert [one.result() for one in jobs] == [None] * 3
        assert sum(worker.requests for worker in fleet.workers) == 3
        totals = (await JobsFleet(fleet).call("GET", "/lb-status", key=header["Authorization"].split()[1]))[1]["totals"]
        assert totals["caller_error"] + totals["refused"] > 0


@doors(**LIVE, job=job)
async def test_a_drain_finishes_what_was_begun(call, doors_fleet):
    """Who is being served is answered, who comes now is sent elsewhere."""
    async with doors_fleet(1, drain_timeout_s=30) as fleet:
        gate = fleet.workers[0].behaviour = HoldGate()
        async with asyncio.TaskGroup() as group:
            first = group.create_task(call(fleet))
            await gate.arrived.wait()
            drain = group.create_task(fleet.service.drain())
            await until(lambda: fleet.service.status.state == "draining")
            assert await call(fleet) == "draining"
            assert not drain.done()
            gate.release.set()
        assert first.result() is None


@doors(**LIVE, realtime=realtime, wyoming=wyoming, job=job)
async def test_one_queue_for_all(call, doors_fleet):
    """A short clip passes a long one that waits, whichever door it came by; a job lets everybody go first."""
    async with doors_fleet(1, wyoming_port=free_port()) as fleet:
        await until(lambda: fleet.service.wyoming.port, "the port")
        (worker,) = fleet.workers
        gate = worker.behaviour = HoldGate()
        async with asyncio.TaskGroup() as group:
            group.create_task(fleet.transcribe())
            await gate.arrived.wait()
            group.create_task(fleet.transcribe(LONG))
            await until(lambda: len(fleet.service.floor.queue) == 1)
            group.create_task(call(fleet))
            if call is job:
                await until(lambda: list(fleet.service._jobs._book.store.list("", limit=1)))
            else:
                await until(lambda: len(fleet.service.floor.queue) == 2)
            worker.behaviour = answer
            gate.release.set()
        sizes = [len(body) for body in worker.bodies[1:]]
        assert sizes == sorted(sizes, reverse=call is job)


@doors(**LIVE)
async def test_the_deferred_tier_leaves_reserved_slots_free(call, doors_fleet):
    """Asked for by header at any door: live requests go past it as long as no other slot is free."""
    async with doors_fleet(1, realtime_reserved_slots=1) as fleet:
        async with asyncio.TaskGroup() as group:
            deferred = group.create_task(call(fleet, headers=DEFERRED))
            await until(lambda: len(fleet.service.floor.queue) == 1)
            assert await call(fleet) is None
            assert [one.tier for one in fleet.service.floor.queue] == ["deferred"]
            deferred.cancel()
        await until(fleet.is_clean)
        assert fleet.workers[0].requests == 1


async def test_jobs_leave_reserved_slots_free(doors_fleet):
    """They stay in their store, where they make nobody wait."""
    async with doors_fleet(1, realtime_reserved_slots=1) as fleet:
        caller = JobsFleet(fleet)
        job_id = await caller.submit()
        for call in LIVE.values():
            assert await call(fleet) is None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1):
                await caller.reaches(job_id, "running", "succeeded")
        assert (await caller.record(job_id))["status"] == "queued"
        assert len(fleet.service.floor.queue) == 0
