"""`transcribe --job` against a small server that goes away in the middle."""

import asyncio
import sys

import pytest
from aiohttp import web

from fleet.errors import Unavailable
from fleet.web import error_response


class Fleet:
    """One job: refused once, queued, gone, running, done. State: how often it was asked."""

    def __init__(self):
        self.keys, self.asked, self.end = [], 0, "succeeded"

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
        state = ("queued", "", "running", self.end)[min(self.asked, 4) - 1]
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


async def transcribe(clip, fleet):
    """Exit code, stdout, stderr."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "fleet.cli", "transcribe", str(clip), "--job", "--format", "srt", "--url", fleet.url),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def test_a_job_is_seen_through(fleet, tmp_path):
    """Refused and asked again under the same key; a connection that breaks while it runs changes nothing."""
    clip = tmp_path / "a.wav"
    clip.write_bytes(b"x")
    assert await transcribe(clip, fleet) == (0, "1\n00:00\nseven\n", "")
    assert (len(fleet.keys), len(set(fleet.keys)), fleet.asked) == (2, 1, 4)


async def test_a_cancelled_job_is_told(fleet, tmp_path):
    """In one sentence."""
    clip = tmp_path / "a.wav"
    clip.write_bytes(b"x")
    fleet.end = "cancelled"
    code, out, err = await transcribe(clip, fleet)
    assert (code, out) == (1, "")
    assert "was cancelled" in err
