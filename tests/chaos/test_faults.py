"""
Workers that fail, one row of docs/catalogue.md each: what callers see, and that nothing is left of it.

Scripted workers on real sockets. What needs real processes is in test_processes.py; what needs hours of virtual time,
in tests/sim.
"""

import asyncio
import json
import socket
from collections import Counter
from dataclasses import dataclass

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from fleet import wire
from tests.chaos.clean import assert_clean
from tests.router.scripted import (
    Behaviour,
    ScriptedFleet,
    ScriptedWorker,
    answer,
    answers,
    dies,
    form,
    hangs,
    scripted_fleet,
    stamped,
    until,
)

PATIENT = {"eject_failures": 1000, "retry_least": 1000}  # that retries have a budget is for tests/sim to say
SOON = "20"  # seconds, X-Request-Timeout: what hangs is found out by probes long before


async def html(_worker, _request):
    return web.Response(text="<h1>It works!</h1>", content_type="text/html")


async def empty(_worker, _request):
    return web.Response()


async def odd_report(worker, _request):
    return web.json_response({"text": "x"}, headers=stamped(worker) | {wire.LOAD: '{"slots": NaN'})


async def newer(worker, _request):
    """A worker of tomorrow: its report says more than this router knows."""
    report = json.loads(worker.load().to_header()) | {"mood": "good", "shards": [1, 2]}
    return web.json_response({"text": worker.name}, headers=stamped(worker) | {wire.LOAD: json.dumps(report)})


async def older(worker, _request):
    """A worker of yesterday: its report lacks what is optional."""
    kept = ("worker_id", "boot", "state", "model", "slots", "in_flight", "queue_depth", "queue_limit")
    report = {name: value for name, value in json.loads(worker.load().to_header()).items() if name in kept}
    return web.json_response({"text": worker.name}, headers=stamped(worker) | {wire.LOAD: json.dumps(report)})


async def endless(worker, request):
    response = web.StreamResponse(headers=stamped(worker))
    await response.prepare(request)
    while True:
        await response.write(bytes(1 << 20))


async def drips(worker, request):
    response = web.StreamResponse(headers=stamped(worker))
    await response.prepare(request)
    while True:
        await response.write(b"x")
        await asyncio.sleep(0.2)


async def half_a_stream(worker, request):
    response = web.StreamResponse(headers=stamped(worker) | {"Content-Type": "text/event-stream"})
    await response.prepare(request)
    await response.write(b'data: {"type": "transcript.text.delta", "delta": "one"}\n\n')
    return await dies(worker, request)


async def frozen(worker, request):
    worker.answers_probes = False
    return await hangs(worker, request)


@dataclass(frozen=True)
class Row:
    """A fault: who behaves how, and what the caller sees. `outcome` is `cut` where no whole answer comes."""

    id: str
    first: Behaviour
    outcome: tuple[int, str] | str
    second: Behaviour = answer
    fields: tuple[tuple[str, str], ...] = ()


OK, FAILED = (200, ""), (502, "upstream_failed")
ROWS = [
    Row("F-01 a worker dies with a request", dies, OK),
    Row("F-01 all that are tried die", dies, (400, "audio_rejected"), second=dies),
    Row("F-03 frozen: takes connections, never answers", frozen, OK),
    Row("F-09 a page from somebody else", html, OK),
    Row("F-09 nothing", empty, OK),
    Row("F-09 a report that is none", odd_report, OK),
    Row("F-09 all of them garbage", html, FAILED, second=html),
    Row("F-10 an answer without end", endless, "cut", second=endless),
    Row("F-10 a byte now and then", drips, "cut", second=drips, fields=(("header_X-Request-Timeout", "1"),)),
    Row("F-11 always 500", answers(500), OK),
    Row("F-11 all of them", answers(500), FAILED, second=answers(500)),
    Row("F-11 a proxy's 502 and 504", answers(502), OK, second=answer),
    Row("F-23 a newer worker", newer, OK, second=newer),
    Row("F-23 an older worker", older, OK, second=older),
]


async def seen(fleet: ScriptedFleet, body: bytes, fields: tuple[tuple[str, str], ...]) -> tuple[int, str] | str:
    """What one caller saw."""
    try:
        status, headers, got = await fleet.transcribe(body, **({"header_X-Request-Timeout": SOON} | dict(fields)))
    except (aiohttp.ClientError, ConnectionError):
        return "cut"
    assert headers[wire.REQUEST_ID]
    if status == 200:
        return (status, "") if got.get("text") else "no text"
    assert set(got["error"]) == {"message", "type", "param", "code"}
    return status, got["error"]["code"]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
async def test_one_outcome_and_nothing_left(row: Row, monkeypatch: pytest.MonkeyPatch):
    """
    Four callers, each with a file of its own: all see what the row says, and afterwards all is as it was.
    """
    monkeypatch.setattr("router.pool.SIGN_OF_LIFE_S", 1.0)  # who just answered the good request is not taken for dead
    async with scripted_fleet(2, slots=4, **PATIENT) as fleet, assert_clean(fleet):
        fleet.workers[0].behaviour, fleet.workers[1].behaviour = row.first, row.second
        bodies = [f"RIFF{row.id}{number}".encode() for number in range(4)]
        outcomes = await asyncio.gather(*(seen(fleet, body, row.fields) for body in bodies))
        assert set(outcomes) == {row.outcome}


async def test_f02_a_stream_that_has_begun_ends_with_an_error():
    """Not with silence, and not with the words twice."""
    async with scripted_fleet(2) as fleet, assert_clean(fleet):
        for worker in fleet.workers:
            worker.behaviour = half_a_stream
        async with fleet.client.post(
            f"{fleet.url}/v1/audio/transcriptions", data=form(b"RIFFx", stream="true")
        ) as response:
            events = [
                json.loads(line[6:]) for line in (await response.text()).splitlines() if line.startswith("data: ")
            ]
        assert [event.get("delta") for event in events[:-1]] == ["one"]
        assert events[-1]["error"]["code"] == "upstream_failed"
        assert sum(worker.requests for worker in fleet.workers) == 1 + 1  # the good one before, and this


async def test_h26_a_caller_who_does_not_read_holds_its_slot_until_its_deadline():
    """More events than any buffer holds, to a caller who takes none of them: the worker is free again."""

    async def talks(worker, request):
        response = web.StreamResponse(headers=stamped(worker) | {"Content-Type": "text/event-stream"})
        await response.prepare(request)
        request.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        for _ in range(15):
            await response.write(b'data: {"type": "transcript.text.delta", "delta": "%s"}\n\n' % (b"x" * 1_000_000))
        await response.write_eof()
        return response

    def small(address):
        made = socket.socket(*address[:3])
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        return made

    async with (
        scripted_fleet(1) as fleet,
        assert_clean(fleet),
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(socket_factory=small)) as caller,
    ):
        (worker,) = fleet.workers
        worker.behaviour = talks
        wish = {"data": form(b"RIFFx", stream="true"), "headers": {"X-Request-Timeout": "2"}}
        async with caller.post(f"{fleet.url}/v1/audio/transcriptions", **wish) as response:
            assert response.status == 200
            await until(lambda: worker.running == 1)
            await asyncio.sleep(0.5)
            assert worker.running == 1, "it was all sent: nothing was tried"
            await until(lambda: worker.running == 0)
            await until(fleet.is_clean)


async def test_f12_who_fails_in_a_millisecond_draws_no_requests():
    """A black hole beside two that work: 100 callers, no error, at most a handful reach it."""
    async with scripted_fleet(3, eject_base_s=30) as fleet, assert_clean(fleet):
        fleet.workers[0].behaviour = answers(500)
        before = fleet.workers[0].requests
        outcomes = Counter(await asyncio.gather(*(seen(fleet, b"RIFF%d" % n, ()) for n in range(100))))
        assert outcomes == {OK: 100}
        assert fleet.workers[0].requests - before <= 5


async def test_f16_all_workers_gone_and_one_back():
    """Who comes meanwhile waits, for a fleet that restarts is worth waiting for; then all are served."""
    async with scripted_fleet(1) as fleet, assert_clean(fleet):
        (worker,) = fleet.workers
        port = worker.server.port
        await worker.server.close()
        (known,) = fleet.service.floor.pool
        await until(lambda: known.state == "refused", "the loss is seen")
        async with asyncio.TaskGroup() as group:
            waiting = [group.create_task(seen(fleet, b"RIFF%d" % n, ())) for n in range(5)]
            await asyncio.sleep(0.3)
            assert not [task.result() for task in waiting if task.done()]
            again = ScriptedWorker(worker.name)
            again.server = TestServer(again.server.app, port=port)
            await again.server.start_server()
            assert {await task for task in waiting} == {OK}
        fleet.workers[0] = again


async def test_f16_no_worker_ever_seen_is_said_at_once():
    """503 with a time to return, before the body is read."""
    async with (
        scripted_fleet(0, workers=("http://127.0.0.1:9",)) as fleet,
        fleet.client.post(f"{fleet.url}/v1/audio/transcriptions", data=form(b"RIFFx")) as response,
    ):
        assert (response.status, (await response.json())["error"]["code"]) == (503, "no_worker")
        assert 1 <= int(response.headers["Retry-After"]) <= 60


async def test_f19_a_connection_that_closes_as_we_send_is_nobodys_error():
    """The worker ends idle connections at the very moment at which the router uses them again."""
    closed: list[int] = []

    async def answer_and_close_later(worker, request):
        response = await answer(worker, request)
        transport = request.transport
        asyncio.get_running_loop().call_later(0.001 * (len(closed) % 4), lambda: transport and transport.abort())
        closed.append(1)
        return response

    async with scripted_fleet(2, **PATIENT) as fleet, assert_clean(fleet):
        for worker in fleet.workers:
            worker.behaviour = answer_and_close_later
        for number in range(60):
            outcome = await seen(fleet, b"RIFF%d" % number, ())
            assert outcome == OK


async def test_f20_what_ran_beside_poison_is_served():
    """
    Workers of eight slots: whoever was there when one died is run again, and none passes for the poison itself.
    """
    lines: dict[str, set[asyncio.BaseTransport | None]] = {}

    async def behave(worker: ScriptedWorker, request: web.Request) -> web.StreamResponse:
        here = lines.setdefault(worker.name, set())
        here.add(request.transport)
        if b"poison" in await request.read():
            await asyncio.sleep(0.1)
            for line in here:
                assert isinstance(line, asyncio.Transport)
                line.abort()
            here.clear()
            await asyncio.sleep(60)
        await asyncio.sleep(0.3)
        here.discard(request.transport)
        return await answer(worker, request)

    async with scripted_fleet(3, slots=8) as fleet:
        for worker in fleet.workers:
            worker.behaviour = behave
        async with asyncio.TaskGroup() as group:
            poison = group.create_task(fleet.transcribe(b"RIFFpoison"))
            others = [group.create_task(fleet.transcribe(b"RIFF%d" % number)) for number in range(23)]
        assert poison.result()[2]["error"]["code"] == "audio_rejected"
        assert {other.result()[0] for other in others} == {200}


async def test_f20_f21_poison_is_refused_and_others_are_served():
    """Twenty files, each of which kills whoever runs it, among 60 good ones: two deaths each, and no good one lost."""
    poisoned = b"poison"

    async def sensitive(worker, request):
        return await (dies if poisoned in worker.bodies[-1] else answer)(worker, request)

    async with scripted_fleet(4, **PATIENT) as fleet, assert_clean(fleet):
        for worker in fleet.workers:
            worker.behaviour = sensitive
        bodies = [b"RIFFpoison%d" % n if n % 4 == 0 else b"RIFFgood%d" % n for n in range(80)]
        outcomes = await asyncio.gather(*(seen(fleet, body, ()) for body in bodies))
        assert {outcome for body, outcome in zip(bodies, outcomes, strict=True) if poisoned in body} == {
            (400, "audio_rejected")
        }
        assert {outcome for body, outcome in zip(bodies, outcomes, strict=True) if poisoned not in body} == {OK}
        deaths = sum(poisoned in body for worker in fleet.workers for body in worker.bodies)
        assert deaths <= 2 * 20
        assert await seen(fleet, bodies[0], ()) == (400, "audio_rejected")


@pytest.mark.parametrize("errno", [28, 5, 30, 122], ids=["ENOSPC", "EIO", "EROFS", "EDQUOT"])
async def test_s01_the_spools_disk_fails(errno: int, monkeypatch: pytest.MonkeyPatch):
    """503 and a time to return for what would not fit in memory; what does is served as ever."""

    def fail(*_):
        raise OSError(errno, "no")

    async with scripted_fleet(1) as fleet, assert_clean(fleet):
        with monkeypatch.context() as broken:
            broken.setattr("router.spool.Spool._append", fail)
            large, small = await asyncio.gather(
                seen(fleet, b"RIFF" + bytes(3_000_000), ()), seen(fleet, b"RIFFsmall", ())
            )
        assert (large, small) == ((503, "storage_unavailable"), OK)
        assert await seen(fleet, b"RIFF" + bytes(3_000_000), ()) == OK


@pytest.mark.parametrize("jump_s", [3600, -3600, 86_400, -86_400])
async def test_s06_the_clock_jumps(jump_s: float, monkeypatch: pytest.MonkeyPatch):
    """Forward and back, by an hour and by a day, in the middle of a request: no deadline passes, nothing is late."""
    import time

    real = time.time

    async with scripted_fleet(1) as fleet, assert_clean(fleet):

        async def jump(worker, request):
            monkeypatch.setattr(time, "time", lambda: real() + jump_s)
            await asyncio.sleep(0.05)
            return await answer(worker, request)

        fleet.workers[0].behaviour = jump
        assert await seen(fleet, b"RIFFx", ()) == OK
        monkeypatch.undo()
        assert await seen(fleet, b"RIFFy", ()) == OK
