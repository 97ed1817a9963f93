"""Simulated workers."""

import asyncio
import time

import aiohttp
import pytest
from aiohttp.test_utils import TestServer

from bench.sleepers import VARIES, Sleeper, application
from fleet.wire import LOAD, LoadReport

PATH = "/v1/audio/transcriptions"


async def test_a_sleeper_is_a_worker_of_one_slot():
    """It reports as workers do, takes about its time, and one request at a time."""
    sleeper = Sleeper("s", 1.0)
    async with (
        TestServer(application(sleeper, lambda: [sleeper.slept_until_now_s()])) as server,
        aiohttp.ClientSession(str(server.make_url("/"))) as http,
        asyncio.TaskGroup() as group,
    ):
        began = time.monotonic()
        first = group.create_task(http.post(PATH, data=b"x"))
        while not sleeper.is_busy:  # noqa: ASYNC110  it is busy when the request is there
            await asyncio.sleep(0.001)
        assert (await http.post(PATH, data=b"x")).status == 500
        answer = await first
        assert answer.status == 200
        assert time.monotonic() - began >= 1.0 * (1 - VARIES)
        assert LoadReport.from_text(answer.headers[LOAD]).slots == 1
        slept = await (await http.get("/tally")).json()
        assert slept == [pytest.approx(1.0, rel=VARIES + 0.5)]
