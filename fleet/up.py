"""
`whisper-fleet up`: a router and N workers on this machine, from nothing to a checked transcript, until Ctrl-C.

Start: hold the ports, start everything at once, wait until all are ready, transcribe a sample through the router, say
where to go. Stop: the router first, which refuses new requests and finishes what it has, then the workers; a second
signal stops at once. The children are held by minders, so nothing outlives this process (fleet.minder).
"""

import asyncio
import os
import sys
import time
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from tempfile import TemporaryDirectory

import aiohttp

from fleet import given
from fleet.banner import Banner
from fleet.plan import FleetPlan, plan
from fleet.ports import held_ports
from fleet.serve import EXIT_CRASH, EXIT_OK, EXIT_STARTUP, Signals, StartupError, first_of
from fleet.settings import SettingError
from fleet.supervise import Keeper, ServiceFailed

PREFIX = "whisper-fleet-"
SAMPLE_TIMEOUT_S = 600  # a large model on a small CPU takes its time over the first clip


def main(argv: Sequence[str] | None = None) -> int:
    """Run the fleet in the foreground; the exit code is 0 once drained, 3 where it cannot start."""
    banner = Banner()
    try:
        wanted, environ = given.read(os.environ, sys.argv[1:] if argv is None else argv)
        with held_ports(wanted.host, wanted.port, wanted.workers) as ports, TemporaryDirectory(prefix=PREFIX) as folder:
            return asyncio.run(_up(plan(wanted, ports, environ, folder=Path(folder)), banner))
    except (SettingError, StartupError) as error:
        banner.error(str(error))
        return EXIT_STARTUP


async def _up(fleet: FleetPlan, banner: Banner) -> int:
    signals = Signals()
    code = EXIT_OK
    try:
        async with aiohttp.ClientSession() as http, asyncio.TaskGroup() as group:
            router, *workers = [
                Keeper(spec, http=http, on_event=banner.on_event, on_line=banner.on_line)
                for spec in (fleet.router, *fleet.workers)
            ]
            services = [group.create_task(keeper.run()) for keeper in (router, *workers)]
            await first_of(_greet(fleet, [router, *workers], http, banner), signals.first.wait())
            await signals.first.wait()
            banner.draining()
            await first_of(_drain(router, workers), signals.second.wait())
            for service in services:
                service.cancel()
    except* ServiceFailed as failures:
        first = _first(failures)
        banner.error(str(first))
        code = first.code
    if code == EXIT_OK:
        banner.stopped()
    return code


async def _greet(fleet: FleetPlan, keepers: Sequence[Keeper], http: aiohttp.ClientSession, banner: Banner) -> None:
    """Wait for all, prove that it works, say where to go."""
    with banner.starting(fleet):
        for keeper in keepers:
            await keeper.ready.wait()
        text, took_s = await transcribe_sample(fleet.url, fleet.api_key, http)
        wyoming_port = await _wyoming_port(fleet.url, http)
    for keeper in keepers:
        keeper.fleet_is_ready()
    banner.ready(fleet, text, took_s, wyoming_port)


async def _wyoming_port(url: str, http: aiohttp.ClientSession) -> int | None:
    """Where the router listens for Wyoming: only it knows whether the usual port was free."""
    async with http.get(f"{url}/health") as response:
        port: int | None = (await response.json()).get("wyoming_port")
        return port


async def _drain(router: Keeper, workers: Sequence[Keeper]) -> None:
    await router.stop()
    async with asyncio.TaskGroup() as group:
        for worker in workers:
            group.create_task(worker.stop())


def _first(failures: BaseExceptionGroup[ServiceFailed]) -> ServiceFailed:
    """The first failure, however deep in groups of groups; the others are its echoes."""
    first = failures.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first


async def transcribe_sample(url: str, api_key: str | None, http: aiohttp.ClientSession) -> tuple[str, float]:
    """The text of the sample clip as the fleet hears it, and the seconds that took; raises ServiceFailed."""
    form = aiohttp.FormData()
    form.add_field("model", "whisper-1")
    form.add_field("file", resources.files("fleet").joinpath("sample.wav").read_bytes(), filename="sample.wav")
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    began = time.monotonic()
    timeout = aiohttp.ClientTimeout(total=SAMPLE_TIMEOUT_S)
    try:
        async with http.post(f"{url}/v1/audio/transcriptions", data=form, headers=headers, timeout=timeout) as response:
            answer = await response.json()
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        message = f"the sample clip got no answer from the router ({type(error).__name__})"
        raise ServiceFailed(message, EXIT_CRASH) from error
    if response.status != 200:
        raise ServiceFailed(f"the sample clip was answered {response.status}: {answer}", EXIT_CRASH)
    return str(answer["text"]), time.monotonic() - began
