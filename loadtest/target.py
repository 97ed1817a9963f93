"""What is put under load: a fleet that is started for it, behind router or nginx, or a URL where something runs."""

import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import aiohttp

from fleet.child import ChildSpec
from fleet.plan import FleetPlan, UpSettings, plan
from fleet.ports import Ports, held_ports
from fleet.supervise import Event, Happening, Keeper
from loadtest import nginx

READY_WITHIN_S = 600  # a large model is being fetched, perhaps
ROUTER, NGINX = "router", "nginx"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Something that answers. `workers` and `balancer` are ours to measure and to break; empty for a URL."""

    url: str
    balancer: ChildSpec | None = None
    workers: tuple[ChildSpec, ...] = ()


@asynccontextmanager
async def started(workers: int, model: str, balancer: str, *, threads: int) -> AsyncIterator[Target]:
    """A fleet on free ports of this machine, ready; gone after the block. Raises StartupError and ServiceFailed."""
    wanted = UpSettings(workers=workers, model=model, port=0, threads_per_worker=threads)
    with tempfile.TemporaryDirectory(prefix="whisper-fleet-") as folder, held_ports("127.0.0.1", 0, workers) as ports:
        fleet = plan(wanted, ports, {"LOG_LEVEL": "warning", **os.environ}, folder=Path(folder))
        if balancer == NGINX:
            fleet = _behind_nginx(fleet, ports, Path(folder))
        async with _kept(fleet):
            yield Target(url=fleet.url, balancer=fleet.router, workers=fleet.workers)


def _behind_nginx(fleet: FleetPlan, ports: Ports, folder: Path) -> FleetPlan:
    nginx.lay_out(folder, port=ports.router, workers=ports.workers)
    return replace(fleet, router=nginx.spec(folder, port=ports.router))


@asynccontextmanager
async def _kept(fleet: FleetPlan) -> AsyncIterator[None]:
    """Keep all of it running for the length of the block."""
    async with aiohttp.ClientSession() as http, asyncio.TaskGroup() as group:
        keepers = [Keeper(spec, http=http, on_event=_tell, on_line=_pass_on) for spec in (*fleet.workers, fleet.router)]
        services = []
        try:
            async with asyncio.timeout(READY_WITHIN_S):
                for some in (keepers[:-1], keepers[-1:]):  # nginx, started first, logs that nobody is there yet
                    services += [group.create_task(keeper.run()) for keeper in some]
                    for keeper in some:
                        await keeper.ready.wait()
            for keeper in keepers:
                keeper.fleet_is_ready()
            yield
        finally:
            for service in services:
                service.cancel()


def _tell(event: Event) -> None:
    if event.happening is Happening.ENDED:
        print(f"{event.name} ended with exit code {event.code}", file=sys.stderr)  # noqa: T201  a terminal command


def _pass_on(name: str, line: str) -> None:
    print(f"{name:<10}{line}", file=sys.stderr)  # noqa: T201  a terminal command
