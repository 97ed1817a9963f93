"""Single services as processes: a router here, a worker there, each ended by its own test."""

from __future__ import annotations

import asyncio
import io
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp

READY_WITHIN_S = 60
PORTS = (12_000, 32_000)
BODY_HEAD = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
BODY_TAIL = b"\r\n--x--\r\n"
FORM = {"Content-Type": "multipart/form-data; boundary=x"}

_given: set[int] = set()


def free_port() -> int:
    """
    A port that nobody has, not given before, and below those that the system gives to who asks for any.

    Between this answer and the moment in which a process has started and listens there, nobody else gets it.
    """
    while True:
        port = random.SystemRandom().randrange(*PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            if port not in _given:
                _given.add(port)
                return port


class Service:
    """`python -m router` or `python -m worker` on a port of its own. State: the process."""

    workers: tuple[Service, ...] = ()  # a router's

    def __init__(self, module: str, *options: str, port: int | None = None, **environ: str) -> None:
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = Path(tempfile.mkstemp(prefix=f"{module}-", suffix=".log")[1])
        inherited = {
            name: value for name, value in os.environ.items() if name not in ("WORKERS", "MODEL", "PORT", "HOST")
        }
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", module, "--port", str(self.port), *options],
                stdout=log,
                stderr=log,
                env={"WYOMING_PORT": "0"} | inherited | environ,
                start_new_session=True,
            )

    async def wait_ready(self, client: aiohttp.ClientSession) -> None:
        deadline = time.monotonic() + READY_WITHIN_S
        while True:
            try:
                async with client.get(f"{self.url}/readyz") as response:
                    if response.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            await asyncio.sleep(0.03)

    async def wait_sees(self, client: aiohttp.ClientSession, workers: int) -> None:
        """A router is ready with the first worker that it has found; this waits for so many of them."""
        async with asyncio.timeout(READY_WITHIN_S):
            while await self._ready_workers(client) < workers:  # noqa: ASYNC110  there is no event across processes
                await asyncio.sleep(0.03)

    async def _ready_workers(self, client: aiohttp.ClientSession) -> int:
        async with client.get(f"{self.url}/health") as response:
            return int((await response.json())["ready"])

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def exit_code(self, within_s: float = 30) -> int:
        return await asyncio.to_thread(self.process.wait, within_s)

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.log.unlink(missing_ok=True)


def worker(model: str = "fake:0.2", *options: str, port: int | None = None) -> Service:
    return Service("worker", "--model", model, *options, port=port)


def router(workers: list[Service], *options: str, port: int | None = None) -> Service:
    service = Service("router", "--workers", ",".join(one.url for one in workers), *options, port=port)
    service.workers = tuple(workers)
    return service


@asynccontextmanager
async def up(*services: Service) -> AsyncIterator[aiohttp.ClientSession]:
    """Wait for services that were started in order, and for routers to see those workers; end them all afterwards."""
    try:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as client:
            for service in services:
                await service.wait_ready(client)
                if started := set(service.workers) & set(services):
                    await service.wait_sees(client, len(started))
            yield client
    finally:
        for service in services:
            service.stop()


async def ask(client: aiohttp.ClientSession, url: str, body: bytes = b"RIFFx", **headers: str) -> tuple[int, Any]:
    """Status and headers of one transcription."""
    data = io.BytesIO(BODY_HEAD + body + BODY_TAIL)
    async with client.post(f"{url}/v1/audio/transcriptions", data=data, headers=FORM | headers) as response:
        await response.read()
        return response.status, response.headers


async def status_of(client: aiohttp.ClientSession, url: str) -> Any:
    async with client.get(f"{url}/lb-status") as response:
        return await response.json()


async def shows(client: aiohttp.ClientSession, url: str, holds: Callable[[Any], bool], within_s: float = 20) -> None:
    """Wait until the router's status is so."""
    async with asyncio.timeout(within_s):
        while not holds(await status_of(client, url)):  # noqa: ASYNC110  there is no event across processes
            await asyncio.sleep(0.02)


async def busy_slots(client: aiohttp.ClientSession, url: str, count: int) -> None:
    """Wait until so many slots are taken."""
    await shows(client, url, lambda status: status["fleet"]["busy"] >= count)
