import asyncio
import errno

import aiohttp
import pytest
from aiohttp import web

from fleet import wire
from router.retry import Failure
from tests.router.scripted import ScriptedWorker, answer, answers, dies, scripted_fleet, stamped, until


async def outcome_of(behaviour) -> Failure | None:
    """How one attempt on a worker that behaves so ends."""
    seen = []
    async with scripted_fleet(1, retry_limit=0) as fleet:
        on_attempt = fleet.service.dispatcher.on_attempt

        def remember(job, lease, outcome, took_s):
            seen.append(outcome.failure)
            on_attempt(job, lease, outcome, took_s)

        fleet.service.dispatcher.on_attempt = remember
        fleet.workers[0].behaviour = behaviour
        await fleet.transcribe()
        await until(fleet.is_clean)
    return seen[0]


async def stranger(_worker: ScriptedWorker, _request: web.Request) -> web.Response:
    return web.Response(text="hello")


async def promises_more(worker: ScriptedWorker, request: web.Request) -> web.StreamResponse:
    """A length, half of the bytes, and gone."""
    response = web.StreamResponse(headers=stamped(worker, **{"Content-Length": "100", "Content-Type": "text/plain"}))
    await response.prepare(request)
    await response.write(b"x" * 50)
    return await dies(worker, request)


async def never_ends(worker: ScriptedWorker, request: web.Request) -> web.StreamResponse:
    """More than a transcript has, of which the caller sees nothing since it is all one event."""
    response = web.StreamResponse(headers=stamped(worker, **{"Content-Type": "text/event-stream"}))
    await response.prepare(request)
    for _ in range(20):
        await response.write(b"x" * (1 << 20))
    return response


@pytest.mark.parametrize(
    ("behaviour", "failure"),
    [
        (answer, None),
        (answers(400), None),
        (answers(404), None),
        (answers(413), None),
        (answers(500), Failure.ERROR),
        (answers(502), Failure.GATEWAY),
        (answers(504), Failure.GATEWAY),
        (dies, Failure.LOST),
        (promises_more, Failure.LOST),
        (stranger, Failure.GARBAGE),
        (never_ends, Failure.GARBAGE),
    ],
)
async def test_every_way_to_fail_has_a_name(behaviour, failure):
    """
    Callers' errors are answers; a reply of known length that breaks off can still be tried elsewhere.
    """
    assert await outcome_of(behaviour) is failure


async def test_a_worker_learns_which_router_asks_and_how_long_its_caller_waits():
    """
    The worker's deadline is a second after the router's own, so that the router's timer goes first.
    """
    async with scripted_fleet(1) as fleet:
        await fleet.transcribe(**{"header_X-Request-Timeout": "30", "header_traceparent": "00-abc-def-01"})
        headers = fleet.workers[0].headers[0]

        assert headers[wire.ROUTER]
        assert 30_000 < int(headers[wire.DEADLINE_MS]) <= 31_000
        assert headers[wire.TIER] == "realtime"
        assert headers["traceparent"] == "00-abc-def-01"


async def test_a_process_that_is_gone_is_noticed_by_the_first_refused_connection():
    """
    Out at once, without waiting for a probe; the request goes elsewhere.
    """
    async with scripted_fleet(2, probe_interval_s=30) as fleet:
        await fleet.workers[0].server.close()
        await asyncio.gather(*(fleet.transcribe() for _ in range(4)))

        states = {upstream.name: upstream.state for upstream in fleet.service.floor.pool}
        assert states == {"w0": "refused", "w1": "ready"}
        totals = (await fleet.status())["totals"]
        assert (totals["ok"], totals["retries"]) == (4, 1)


async def test_a_router_that_is_out_of_descriptors_blames_no_worker(monkeypatch):
    """
    What it lacks itself says nothing of workers: the request waits until there is some again, and nobody is ejected.
    """
    lacking = 5
    async with scripted_fleet(1) as fleet:
        connector = fleet.service._connector.client.connector
        assert connector is not None
        usual = connector.connect

        async def connect(request, *args, **options):
            nonlocal lacking
            if request.url.path == "/load" or lacking == 0:
                return await usual(request, *args, **options)
            lacking -= 1
            raise aiohttp.ClientConnectorError(request.connection_key, OSError(errno.EMFILE, "Too many open files"))

        monkeypatch.setattr(connector, "connect", connect)
        status, headers, _ = await fleet.transcribe()
        (worker,) = fleet.service.floor.pool

    assert (status, headers[wire.ATTEMPTS], lacking) == (200, "1", 0)
    assert (worker.ejection.failures, worker.ejection.opened) == (0, 0)
