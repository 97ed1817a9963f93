"""`transcribe --job` against a small server that goes away in the middle."""

import asyncio
import signal

import pytest
from aiohttp import web

from fleet.errors import Unavailable
from fleet.web import error_response
from tests.fleet.transcribing import started, transcribe


class Fleet:
    """One job: refused once, queued, gone, running, done. State: how often it was asked."""

    def __init__(self):
        self.keys, self.asked, self.end = [], 0, "succeeded"
        self.is_held, self.running = False, asyncio.Event()  # it stays running; it was seen to

    async def submit(self, request):
        await request.read()
        self.keys.append(request.headers["Idempotency-Key"])
        if len(self.keys) == 1:
            return error_response(Unavailable(code="storage_unavailable", retry_after_s=1))
        return web.json_response({"id": "j1", "status": "queued"}, status=202)

    async def get(self, request):
        self.asked += 1
        if self.asked == 2:
            request.transport.abort()
        state = ("queued", "", "running", "running" if self.is_held else self.end)[min(self.asked, 4) - 1]
        if state == "running":
            self.running.set()
        return web.json_response({"status": state, "progress": 0.5, "position": 3})

    async def result(self, request):
        return web.Response(text="1\n00:00\nseven\n")


@pytest.fixture
async def fleet(aiohttp_server):
    """It listens."""
    fleet = Fleet()
    app = web.Application()
    app.router.add_post("/v1/jobs", fleet.submit)
    app.router.add_get("/v1/jobs/j1", fleet.get)
    app.router.add_get("/v1/jobs/j1/result", fleet.result)
    fleet.url = str((await aiohttp_server(app)).make_url("/"))
    return fleet


async def test_a_job_is_seen_through(fleet, clip):
    """Refused and asked again under the same key; a connection that breaks while it runs changes nothing."""
    job = transcribe(clip, "--job", "--format", "srt", "--url", fleet.url)
    assert await job == (0, "1\n00:00\nseven\n", "a.wav is job j1\n")
    assert (len(fleet.keys), len(set(fleet.keys)), fleet.asked) == (2, 1, 4)


async def test_who_leaves_can_come_back(fleet, clip):
    """Ctrl-C while it runs: the id is known by then, and `--resume` waits for the rest without sending anything."""
    fleet.is_held = True
    process = await started(clip, "--job", "--url", fleet.url)
    async with asyncio.timeout(60):
        assert await process.stderr.readline() == b"a.wav is job j1\n"
        await fleet.running.wait()
        process.send_signal(signal.SIGINT)
        out, err = await process.communicate()
    assert (process.returncode, out, err) == (130, b"", b"")
    fleet.is_held = False
    assert await transcribe("--resume", "j1", "--url", fleet.url) == (0, "1\n00:00\nseven\n", "")
    assert len(fleet.keys) == 2


async def test_a_cancelled_job_is_told(fleet, clip):
    """In one sentence."""
    fleet.end = "cancelled"
    code, out, err = await transcribe(clip, "--job", "--url", fleet.url)
    assert (code, out) == (1, "")
    assert err.endswith(": job j1 was cancelled\n")
