"""A router in this process before workers whose every move a test decides. Real sockets, no model."""

import asyncio
import io
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer

from fleet import wire
from fleet.wire import LoadReport, WorkerState
from router.app import RouterService
from router.settings import RouterSettings
from tests.router.made import READY

Behaviour = Callable[["ScriptedWorker", web.Request], Awaitable[web.StreamResponse]]


class ScriptedWorker:
    """Answers `{"text": NAME}` unless told otherwise; counts what it was sent."""

    def __init__(self, name: str, *, slots: int = 1) -> None:
        self.name = name
        self.report = replace(READY, worker_id=name, boot=f"boot-{name}", slots=slots)
        self.behaviour: Behaviour = answer
        self.answers_probes = True
        self.requests = 0
        self.running = 0
        self.most_at_once = 0
        self.bodies: list[bytes] = []
        self.headers: list[Any] = []
        self.paths: list[str] = []
        self.cancelled = 0
        app = web.Application(client_max_size=0)
        app.router.add_get("/load", self._load)
        for path in ("/v1/audio/{task}", "/audio/{task}", "/transcribe", "/asr", "/inference", "/v1/audio/{task}/"):
            app.router.add_post(path, self._transcribe)
        self.server = TestServer(app)

    @property
    def url(self) -> str:
        return str(self.server.make_url("")).rstrip("/")

    def load(self) -> LoadReport:
        return replace(self.report, in_flight=self.running, mine=self.running)

    async def _load(self, _: web.Request) -> web.Response:
        if not self.answers_probes:
            await asyncio.sleep(600)
        return web.json_response(self.load().to_json())

    async def _transcribe(self, request: web.Request) -> web.StreamResponse:
        self.requests += 1
        self.headers.append(request.headers.copy())
        self.paths.append(request.path_qs)
        self.bodies.append(await request.read())
        self.running += 1
        self.most_at_once = max(self.most_at_once, self.running)
        try:
            return await self.behaviour(self, request)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.running -= 1


def stamped(worker: ScriptedWorker, **more: str) -> dict[str, str]:
    return {wire.LOAD: worker.load().to_header(), wire.WORKER: worker.name, wire.DURATION: "1.0", **more}


async def answer(worker: ScriptedWorker, _: web.Request) -> web.Response:
    return web.json_response({"text": worker.name}, headers=stamped(worker))


def answers(status: int, code: str = "some_code") -> Behaviour:
    async def behave(worker: ScriptedWorker, _: web.Request) -> web.Response:
        error = {"error": {"message": "m", "type": "t", "param": None, "code": code}}
        return web.json_response(error, status=status, headers=stamped(worker))

    return behave


async def says_busy(worker: ScriptedWorker, _: web.Request) -> web.Response:
    return web.json_response({}, status=503, headers=stamped(worker, **{wire.BUSY: "1"}))


async def dies(_: ScriptedWorker, request: web.Request) -> web.Response:
    """The connection is gone, as when a process is killed."""
    assert request.transport is not None
    request.transport.abort()
    await asyncio.sleep(60)
    raise AssertionError


async def hangs(_: ScriptedWorker, __: web.Request) -> web.Response:
    await asyncio.sleep(600)
    raise AssertionError


def takes(seconds: float) -> Behaviour:
    async def behave(worker: ScriptedWorker, request: web.Request) -> web.Response:
        await asyncio.sleep(seconds)
        return await answer(worker, request)

    return behave


@dataclass
class HoldGate:
    """Requests arrive and stay until they are released: no sleeping, no guessing."""

    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    release: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, worker: ScriptedWorker, request: web.Request) -> web.Response:
        self.arrived.set()
        await self.release.wait()
        return await answer(worker, request)


@dataclass
class ScriptedFleet:
    """The router, its workers, and a client."""

    service: RouterService
    workers: list[ScriptedWorker]
    client: aiohttp.ClientSession
    url: str

    async def transcribe(self, body: bytes = b"RIFFsome audio", **fields: str) -> tuple[int, Any, Any]:
        """Status, headers and parsed body of one request; `header_NAME=...` sends a header."""
        headers = {
            name.removeprefix("header_"): fields.pop(name) for name in list(fields) if name.startswith("header_")
        }
        async with self.client.post(
            f"{self.url}/v1/audio/transcriptions", data=form(body, **fields), headers=headers
        ) as r:
            text = await r.text()
            return r.status, r.headers, json.loads(text) if r.content_type == "application/json" else text

    async def status(self) -> Any:
        async with self.client.get(f"{self.url}/lb-status") as response:
            return await response.json()

    def is_clean(self) -> bool:
        """Whether nothing is held any more: no lease, no queue entry, no byte of spool, no open request."""
        pool, queue = self.service.floor.pool, self.service.floor.queue
        spool, status = self.service.spool, self.service.status
        held = pool.in_flight(), len(queue), spool.memory_bytes, spool.disk_bytes, status.open_requests
        return not any(held)


def form(body: bytes, **fields: str) -> aiohttp.FormData:
    data = aiohttp.FormData()
    for name, value in fields.items():
        data.add_field(name, value)
    data.add_field("file", io.BytesIO(body), filename="clip.wav", content_type="audio/wav")
    return data


async def until(is_so: Callable[[], object], what: str = "it", within_s: float = 15) -> None:
    """Wait for something to become true; fails after `within_s`."""
    async with asyncio.timeout(within_s):
        while not is_so():  # noqa: ASYNC110  what is waited for has no event
            await asyncio.sleep(0.005)


@asynccontextmanager
async def scripted_fleet(count: int = 1, *, slots: int = 1, **settings: Any) -> AsyncIterator[ScriptedFleet]:
    """Start workers and a router before them; everything is gone afterwards, and nothing was left held."""
    workers = [ScriptedWorker(f"w{number}", slots=slots) for number in range(count)]
    for worker in workers:
        await worker.server.start_server()
    quick = {"probe_interval_s": 0.1, "probe_timeout_s": 0.3, "eject_base_s": 0.3, "wyoming_port": 0, "jobs": "off"}
    listed = {"workers": tuple(worker.url for worker in workers)}
    service = RouterService(RouterSettings(**(quick | listed | settings)))
    server = TestServer(service.app)
    try:
        await server.start_server(auto_decompress=False)
        async with asyncio.TaskGroup() as group, aiohttp.ClientSession() as client:
            loops = [group.create_task(loop) for loop in service.loops()]
            fleet = ScriptedFleet(service, workers, client, str(server.make_url("")).rstrip("/"))
            ready = [worker for worker in workers if worker.report.state is WorkerState.READY]
            await until(lambda: len(service.floor.pool.usable(time.monotonic())) == len(ready), "workers")
            for upstream in service.floor.pool:
                upstream.answered = 10  # past slow start, which has tests of its own
            yield fleet
            for loop in loops:
                loop.cancel()
    finally:
        await server.close()
        for worker in workers:
            await worker.server.close()
