import asyncio
import json
import time

from aiohttp import web
from aiohttp.test_utils import TestServer

from fleet.wire import WorkerState
from router.probe import REPORT_BYTES_MAX
from router.upstream import Health
from tests.router.made import READY
from tests.router.scripted import ScriptedWorker, scripted_fleet, until


async def test_a_worker_is_asked_on_a_timer_and_never_twice_at_once():
    """
    One question at a time, each with the router's name.
    """
    async with scripted_fleet(1, probe_interval_s=0.05) as fleet:
        asked = []
        original = ScriptedWorker.load

        def counting(worker):
            asked.append(time.monotonic())
            return original(worker)

        fleet.workers[0].load = counting.__get__(fleet.workers[0])  # type: ignore[method-assign]
        await until(lambda: len(asked) >= 16)  # one alone may come late, and the next soon after it

        assert (asked[-1] - asked[0]) / len(asked) > 0.02


async def test_a_worker_that_becomes_ready_is_used_at_once():
    """
    What waited for it is served; loading workers are asked more often than ready ones.
    """
    async with scripted_fleet(1, probe_interval_s=0.2) as fleet:
        worker = fleet.workers[0]
        worker.report = type(worker.report)(**{**worker.report.to_json(), "state": WorkerState.LOADING})
        await until(lambda: not fleet.service.floor.pool.usable(time.monotonic()))
        async with asyncio.TaskGroup() as group:
            held = group.create_task(fleet.transcribe())
            await until(lambda: len(fleet.service.floor.queue) == 1)
            worker.report = type(worker.report)(**{**worker.report.to_json(), "state": WorkerState.READY})
        assert held.result()[0] == 200


async def test_a_worker_that_answers_no_probe_is_silent_and_comes_back_with_the_first_answer():
    """
    Three misses out, one answer in.
    """
    async with scripted_fleet(2) as fleet:
        upstream = fleet.service.floor.pool.workers[fleet.workers[0].url]
        upstream.heard_at = None
        fleet.workers[0].answers_probes = False
        await until(lambda: upstream.health is Health.SILENT)

        fleet.workers[0].answers_probes = True
        await until(lambda: upstream.is_ready)


async def test_completions_keep_a_worker_in_that_is_too_busy_to_answer_probes():
    """
    Scenario 14: probes time out, answers come: never out.
    """
    async with scripted_fleet(1) as fleet:
        (upstream,) = fleet.service.floor.pool
        await fleet.transcribe()
        fleet.workers[0].answers_probes = False
        await until(lambda: upstream.misses >= 4)

        assert (await fleet.transcribe())[0] == 200
        assert upstream.is_ready


async def test_a_stranger_among_the_addresses_gets_nothing_and_stops_nobody():
    """
    Whatever another program answers where a worker was expected, it is not used and the router serves on.
    """
    asked, said = 0, {"body": b"5"}

    async def load(_: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        return web.Response(body=said["body"], content_type="application/json")

    app = web.Application()
    app.router.add_get("/load", load)
    never = {"discovery_interval_s": 3600}  # it would forget who is not on its list
    async with scripted_fleet(1, probe_interval_s=0.05, **never) as fleet, TestServer(app) as stranger:
        fleet.service.floor.pool.add(str(stranger.make_url("")).rstrip("/"), time.monotonic())
        wrong = [{name: value} for name, value in (("slots", 0), ("slots", "x"), ("rtf", "x"), ("boot", [1]))]
        for said["body"] in (
            *(b"5", b"null", b"[]", b"[" * 100_000, b"\xff"),
            *(json.dumps(READY.to_json() | one).encode() for one in wrong),
            json.dumps(READY.to_json()).encode() + b" " * REPORT_BYTES_MAX,
        ):
            before = asked
            await until(lambda before=before: asked >= before + 2)
            assert (await fleet.transcribe())[0] == 200
            assert (await fleet.status())["fleet"]["ready"] == 1
