"""What is measured, as processes: fleets as `whisper-fleet up` starts them, bare engine loops, simulated workers."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import psutil

from fleet.child import Child, ChildSpec, running
from fleet.plan import CAN_PIN, ONE_THREAD_EACH, UpSettings, plan, usable_cores
from fleet.ports import held_ports
from fleet.supervise import answers_ok

START_S = 60
MINE = ("WORKERS", "MODEL", "HOST", "PORT", "API_KEY", "AUDIO_CONTEXT", "QUICK", "OUT")  # of this process's environment
KEPT_MEMORY = {  # glibc's own variables for what worker/memory.py asks of it: one heap, and freed blocks stay in it
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str((1 << 31) - 1),
}
QUIET = {"LOG_FORMAT": "json", "JOBS": "off"}  # a store of jobs is left for each port, and none are sent
EMBEDDED = Path(__file__).parents[1] / "worker" / "models"  # where the directory of the embedded model is


class DidNotStart(Exception):
    """What is to be measured did not get ready."""


@dataclass(frozen=True, slots=True)
class Stand:
    """A running fleet: the router's address (the first worker's where there is no router), and its processes."""

    url: str
    worker_urls: tuple[str, ...]
    router: psutil.Process | None
    http: aiohttp.ClientSession
    workers: tuple[psutil.Process, ...] = ()


@asynccontextmanager
async def fleet(
    model: str, workers: int, *, has_router: bool = True, settings: Mapping[str, str] | None = None
) -> AsyncIterator[Stand]:
    """Workers of one thread and one core each, with a router before them; gone at the end of the block."""
    environ = {name: value for name, value in os.environ.items() if name not in MINE}
    environ |= QUIET | dict(settings or {})
    with held_ports("127.0.0.1", 0, workers) as ports:
        drawn = plan(UpSettings(workers=workers, model=model, threads_per_worker=1), ports, environ)
        specs = [*drawn.workers, *([drawn.router] if has_router else [])]
        urls = tuple(f"http://127.0.0.1:{port}" for port in ports.workers)
        async with started(specs) as (children, http):
            router = service(children[-1]) if has_router else None
            found = tuple(service(child) for child in children[:workers])
            yield Stand(drawn.url if has_router else urls[0], urls, router, http, found)


@asynccontextmanager
async def crowd(workers: int, seconds: float) -> AsyncIterator[tuple[Stand, str]]:
    """A router before simulated workers, all in one process, each a sleep long; and the address of their tally."""
    with held_ports("127.0.0.1", 0, workers) as ports:
        urls = [f"http://127.0.0.1:{port}" for port in ports.workers]
        command = (sys.executable, "-P", "-m", "bench.sleepers", str(seconds), *map(str, ports.workers))
        environ = {name: value for name, value in os.environ.items() if name not in MINE}
        sleepers = ChildSpec(name="sleepers", command=command, ready_url=f"{urls[-1]}/load", environ=environ)
        drawn = plan(UpSettings(workers=1, model="fake:0"), ports, environ | QUIET)
        before = (sys.executable, "-P", "-m", "router", "--workers", ",".join(urls), "--port", str(ports.router))
        router = ChildSpec(
            name="router", command=before, ready_url=drawn.router.ready_url, environ=drawn.router.environ
        )
        async with started([sleepers, router]) as (children, http):
            yield Stand(drawn.url, tuple(urls), service(children[-1]), http), f"{urls[0]}/tally"


@asynccontextmanager
async def passthrough(worker_url: str) -> AsyncIterator[tuple[str, psutil.Process]]:
    """A bare proxy before a worker: its address and its process."""
    with held_ports("127.0.0.1", 0, 0) as ports:
        command = (sys.executable, "-P", "-m", "bench.passthrough", str(ports.router), worker_url)
        url = f"http://127.0.0.1:{ports.router}"
        spec = ChildSpec(name="passthrough", command=command, ready_url=f"{url}/readyz", environ=dict(os.environ))
        async with started([spec]) as (children, _):
            yield url, service(children[0])


@asynccontextmanager
async def started(specs: Sequence[ChildSpec]) -> AsyncIterator[tuple[list[Child], aiohttp.ClientSession]]:
    """The services, ready, and a client for them; raises DidNotStart with their last words."""
    last_words: dict[str, str] = {}
    connector = aiohttp.TCPConnector(limit=0)
    async with (
        aiohttp.ClientSession(connector=connector) as http,
        asyncio.TaskGroup() as listening,
        AsyncExitStack() as stack,
    ):
        children = [await stack.enter_async_context(running(spec)) for spec in specs]
        for child in children:
            listening.create_task(_listen(child, last_words))
        try:
            async with asyncio.timeout(START_S):
                for spec in specs:
                    while not await answers_ok(http, spec.ready_url):  # noqa: ASYNC110  another process's event
                        await asyncio.sleep(0.05)
        except TimeoutError as error:
            raise DidNotStart(f"not ready after {START_S} s: {last_words}") from error
        yield children, http


async def _listen(child: Child, last_words: dict[str, str]) -> None:
    """Read what it says, or it would block one day."""

    def hear(line: str) -> None:
        last_words[child.spec.name] = line

    await child.wait(hear)


def service(child: Child) -> psutil.Process:
    """The service behind its minder."""
    return psutil.Process(child.minder_pid).children()[0]


def cpu_s(process: psutil.Process) -> float:
    """User and system seconds so far."""
    times = process.cpu_times()
    return float(times.user + times.system)


@dataclass(frozen=True, slots=True)
class Loops:
    """Bare engine loops, one a core, that run only when told to."""

    processes: tuple[asyncio.subprocess.Process, ...]
    texts: tuple[str, ...]

    async def per_s(self, seconds: float) -> float:
        """Clips a second of all of them together, over one round."""
        for process in self.processes:
            _told(process, str(seconds))
        answers = [await _answer(process) for process in self.processes]
        return sum(float(answer["per_s"]) for answer in answers)


@asynccontextmanager
async def bare_loops(
    directory: Path, count: int, files: Sequence[Path], context: str, *, keeps_memory: bool = False
) -> AsyncIterator[Loops]:
    """Start them, pinned as workers are, and wait until each has done every clip once."""
    cores, variables = usable_cores(), KEPT_MEMORY if keeps_memory else {}
    async with AsyncExitStack() as stack:
        processes = [await stack.enter_async_context(_bare(directory, context, variables)) for _ in range(count)]
        for process, core in zip(processes, cores, strict=False):
            if CAN_PIN and count <= len(cores):
                psutil.Process(process.pid).cpu_affinity([core])
            _told(process, json.dumps([str(file) for file in files]))
        answers = [await _answer(process) for process in processes]
        yield Loops(tuple(processes), tuple(answers[0]["texts"]))


@asynccontextmanager
async def _bare(
    directory: Path, context: str, variables: Mapping[str, str]
) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "bench.bare", str(directory), context),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=os.environ | ONE_THREAD_EACH | dict(variables),
    )
    try:
        yield process
    finally:
        if process.stdin is not None:
            process.stdin.close()
        await process.wait()


def _told(process: asyncio.subprocess.Process, line: str) -> None:
    if process.stdin is not None:
        process.stdin.write(f"{line}\n".encode())


async def _answer(process: asyncio.subprocess.Process) -> dict[str, Any]:
    line = await process.stdout.readline() if process.stdout is not None else b""
    if not line:
        raise DidNotStart("a bare engine loop ended")
    answer: dict[str, Any] = json.loads(line)
    return answer
