"""How jobs are run: never failed by a busy fleet, never twice, and out of everybody's way."""

import asyncio
import json
import os
import time

from aiohttp import web

from router.deferred import verdict
from router.deferred.store import JobStore
from router.limits import UNLIMITED, Limits
from tests.router.deferred.jobs_fleet import jobs_fleet, made_keys
from tests.router.scripted import HoldGate, answer, answers, dies, says_busy, stamped, until


async def test_a_busy_fleet_never_fails_a_job(tmp_path):
    """Busy, broken for a while, gone and back: it waits."""
    async with jobs_fleet(tmp_path, 1) as fleet:
        worker = fleet.fleet.workers[0]
        worker.behaviour = says_busy
        job_id = await fleet.submit()
        await until(lambda: worker.requests > 2)
        worker.behaviour = answers(502)
        await until(lambda: worker.requests > 6)
        worker.behaviour = answer
        assert (await fleet.ended(job_id))["status"] == "succeeded"


async def test_jobs_leave_a_slot_to_live_requests(tmp_path):
    """With two slots one job runs at a time; a live request finds a free slot at once, however many jobs wait."""
    async with jobs_fleet(tmp_path, 2) as fleet:
        gates = [HoldGate(), HoldGate()]
        for worker, gate in zip(fleet.fleet.workers, gates, strict=True):
            worker.behaviour = gate
        for number in range(6):
            await fleet.submit(b"RIFF%d" % number)
        await until(lambda: any(gate.arrived.is_set() for gate in gates))
        busy = next(n for n, gate in enumerate(gates) if gate.arrived.is_set())
        fleet.fleet.workers[1 - busy].behaviour = answer
        for _ in range(5):
            status, headers, _ = await fleet.fleet.transcribe()
            assert (status, headers["X-Fleet-Worker"]) == (200, f"w{1 - busy}")
            assert int(headers["X-Fleet-Queue-Ms"]) < 500
        assert sum(worker.running for worker in fleet.fleet.workers) == 1
        assert len(fleet.fleet.service.floor.queue) == 0  # they wait in the store, and count as nobody's work ahead
        gates[busy].release.set()


async def test_a_key_at_its_limit_is_left_alone(tmp_path):
    """While one of its jobs runs, the others are not claimed in vain one after the other; another key's go ahead."""
    limited, free = made_keys(tmp_path / "keys.json", Limits(concurrency=1), UNLIMITED)
    async with jobs_fleet(tmp_path, 4, api_keys_file=str(tmp_path / "keys.json")) as fleet:
        gate = HoldGate()
        for worker in fleet.fleet.workers:
            worker.behaviour = gate
        jobs = [await fleet.submit(b"RIFF%d" % number, key=limited) for number in range(40)]
        await gate.arrived.wait()
        other = await fleet.submit(key=free)
        await until(lambda: sum(worker.running for worker in fleet.fleet.workers) == 2, "both keys")
        claims, began = [], time.monotonic()
        for _ in range(2):
            await asyncio.sleep(1)
            _, page = await fleet.call("GET", "/v1/jobs?limit=100", key=limited)
            claims.append(sum(record["attempts"] for record in page["data"]))
        assert claims[1] - claims[0] < 4 * (time.monotonic() - began)
        gate.release.set()
        for job_id, key in ((jobs[0], limited), (other, free)):
            assert (await fleet.ended(job_id, key=key))["status"] == "succeeded"
        for job_id in jobs:
            await fleet.call("DELETE", f"/v1/jobs/{job_id}", key=limited)


async def test_poison_ends(tmp_path, monkeypatch):
    """A body under which workers die again and again is failed with `audio_rejected`, not tried for ever."""
    monkeypatch.setattr(verdict, "WAIT_MAX_S", 0.05)
    async with jobs_fleet(tmp_path, 3) as fleet:
        for worker in fleet.fleet.workers:
            worker.behaviour = dies
        record = await fleet.ended(await fleet.submit())
        assert (record["status"], record["error"]["code"], record["attempts"]) == ("failed", "audio_rejected", 3)


async def test_progress_is_seen(tmp_path):
    """As the worker tells it, before the answer."""
    release = asyncio.Event()

    async def tells(worker, request):
        response = web.StreamResponse(headers=stamped(worker, **{"Content-Type": "text/event-stream"}))
        await response.prepare(request)
        await response.write(b': waiting\n\ndata: {"type":"transcript.progress","progress":0.4}\n\n')
        await release.wait()
        whole = {"type": "transcript.whole", "content_type": "text/vtt", "body": "WEBVTT\n\n"}
        await response.write(b"data: " + json.dumps(whole).encode() + b"\n\n")
        return response

    async with jobs_fleet(tmp_path, 1) as fleet:
        fleet.fleet.workers[0].behaviour = tells
        job_id = await fleet.submit(response_format="vtt")
        async with asyncio.timeout(20):
            while (await fleet.record(job_id))["progress"] != 0.4:  # noqa: ASYNC110  over HTTP there is no event
                await asyncio.sleep(0.02)
        release.set()
        await fleet.ended(job_id)
        assert await fleet.result(job_id) == (200, "WEBVTT\n\n")


async def test_a_router_that_stops_puts_its_jobs_back(tmp_path):
    """And the next one with the same store runs them at once."""
    async with jobs_fleet(tmp_path, 1, ends_clean=False) as fleet:
        fleet.fleet.workers[0].behaviour = gate = HoldGate()
        job_id = await fleet.submit()
        await gate.arrived.wait()
    async with jobs_fleet(tmp_path, 1) as fleet:
        record = await fleet.ended(job_id)
        assert (record["status"], record["attempts"]) == ("succeeded", 2)


async def test_a_draining_router_starts_none(tmp_path):
    """They wait for the next."""
    async with jobs_fleet(tmp_path, 1) as fleet:
        fleet.fleet.service.status.state = "leaving"
        job_id = await fleet.submit()
        await asyncio.sleep(0.6)
        assert (await fleet.record(job_id))["status"] == "queued"
        fleet.fleet.service.status.state = "serving"
        await fleet.ended(job_id)


async def test_a_lost_lease_stops_the_run(tmp_path, monkeypatch):
    """Somebody else has the job: this router's request to the worker is cancelled and its answer is not written."""
    monkeypatch.setattr("router.deferred.runner.BEAT_S", 0.05)
    async with jobs_fleet(tmp_path, 1) as fleet:
        worker = fleet.fleet.workers[0]
        worker.behaviour = gate = HoldGate()
        job_id = await fleet.submit()
        await gate.arrived.wait()
        book = fleet.fleet.service._jobs._book
        record = await book.ask(lambda store: store.get("", job_id)[0])
        assert not await book.ask(JobStore.renew, job_id, record.token - 1, 0.9)
        await book.ask(_take_over, job_id)
        await until(lambda: worker.cancelled)
        taken = await book.ask(lambda store: store.get("", job_id)[0])
        assert taken.token == record.token + 1
        gate.release.set()


def _take_over(store: JobStore, job_id: str) -> None:
    """As another router would, once the lease has ended."""
    with store._database.transaction() as run:
        run.change("UPDATE fleet_jobs SET due_at = 0 WHERE id = :id", id=job_id)
    assert store.claim(at_most=9) is not None


async def test_a_clock_that_jumps_changes_nothing(tmp_path, monkeypatch):
    """A day forward or back while a job runs: no lease ends, no second run starts, and what is young stays."""
    monkeypatch.setattr("router.deferred.runner.BEAT_S", 0.05)
    real = time.time
    async with jobs_fleet(tmp_path, 1) as fleet:
        worker = fleet.fleet.workers[0]
        worker.behaviour = gate = HoldGate()
        job_id = await fleet.submit()
        await gate.arrived.wait()
        for jump_s in (86_400, -86_400):
            monkeypatch.setattr(time, "time", lambda jump_s=jump_s: real() + jump_s)
            await asyncio.sleep(0.3)
        gate.release.set()
        record = await fleet.ended(job_id)
        assert (record["status"], record["attempts"], worker.requests) == ("succeeded", 1, 1)


async def test_a_disk_that_is_full_costs_no_acknowledged_job(tmp_path, monkeypatch):
    """503 `storage_unavailable` and no half job; once there is room, all is as before."""
    async with jobs_fleet(tmp_path, 1) as fleet:

        def fails(_: int) -> None:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", fails)
            status, refused = await fleet.post()
            assert (status, refused["error"]["code"]) == (503, "storage_unavailable")
        assert list((tmp_path / "jobs.sqlite.audio").iterdir()) == []
        assert (await fleet.call("GET", "/v1/jobs"))[1]["data"] == []
        assert (await fleet.ended(await fleet.submit()))["status"] == "succeeded"


async def test_half_a_clip_is_not_transcribed(tmp_path):
    """Audio that was damaged on the disk is an error, never a wrong transcript."""
    async with jobs_fleet(tmp_path, 1) as fleet:
        fleet.fleet.service.status.state = "leaving"
        job_id = await fleet.submit(b"RIFF" * 1000)
        (tmp_path / "jobs.sqlite.audio" / job_id).write_bytes(b"RIFF")
        fleet.fleet.service.status.state = "serving"
        async with asyncio.timeout(20):
            while (await fleet.record(job_id))["attempts"] < 1:  # noqa: ASYNC110  over HTTP there is no event
                await asyncio.sleep(0.02)
        assert fleet.fleet.workers[0].requests == 0
