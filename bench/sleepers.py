"""
Simulated workers, all in one process: each has one slot and an engine that is a sleep.

`python -m bench.sleepers SECONDS PORT...`. More real processes than cores would measure the system's scheduler. Any of
them answers `GET /tally` with the seconds that each has slept.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from aiohttp import web

from fleet.wire import DURATION, LOAD, WORKER, LoadReport, WorkerState

AUDIO_S = 5.0
VARIES = 0.2  # clips differ; of equal ones all workers would be free in the same moment


@dataclass(slots=True)
class Sleeper:
    """One worker. State: whether it has a request, since when it sleeps, and what it slept before."""

    name: str
    seconds: float
    is_busy: bool = False
    since: float | None = None
    slept_s: float = 0.0
    _rng: Random = field(default_factory=lambda: Random(0))  # noqa: S311  an engine, not a secret

    def slept_until_now_s(self) -> float:
        """All of it, this sleep's part included."""
        return self.slept_s + (0.0 if self.since is None else time.monotonic() - self.since)

    def report(self) -> LoadReport:
        """What it says of itself."""
        return LoadReport(
            worker_id=self.name,
            boot=self.name,
            state=WorkerState.READY,
            model="simulated",
            slots=1,
            in_flight=int(self.is_busy),
            mine=int(self.is_busy),
            queue_depth=0,
            queue_limit=0,
            rtf=self.seconds / AUDIO_S,
            fixed_s=0.0,
            is_scripted=True,
        )

    async def load(self, _: web.Request) -> web.Response:
        """`GET /load`."""
        return web.json_response(self.report().to_json())

    async def transcribe(self, request: web.Request) -> web.Response:
        """Read the body, sleep, answer; a second request at the same time is an error of the router's."""
        if self.is_busy:
            return web.json_response({"error": "two at once"}, status=500, headers=self._headers())
        self.is_busy = True
        try:
            await request.read()
            self.since = time.monotonic()
            await asyncio.sleep(self.seconds * self._rng.uniform(1 - VARIES, 1 + VARIES))
        finally:
            self.slept_s, self.since = self.slept_until_now_s(), None
            self.is_busy = False
        return web.json_response({"text": self.name}, headers=self._headers())

    def _headers(self) -> dict[str, str]:
        return {LOAD: self.report().to_header(), WORKER: self.name, DURATION: str(AUDIO_S)}


def application(sleeper: Sleeper, tally: Callable[[], list[float]]) -> web.Application:
    """One worker's routes."""

    async def counted(_: web.Request) -> web.Response:
        return web.json_response(tally())

    app = web.Application(client_max_size=1 << 30)
    app.router.add_get("/load", sleeper.load)
    app.router.add_get("/tally", counted)
    app.router.add_post("/v1/audio/transcriptions", sleeper.transcribe)
    return app


async def serve(seconds: float, ports: list[int]) -> None:
    """Serve until SIGTERM."""
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    sleepers = [Sleeper(f"sleeper-{number}", seconds, _rng=Random(number)) for number in range(len(ports))]  # noqa: S311
    runners = [
        web.AppRunner(application(sleeper, lambda: [each.slept_until_now_s() for each in sleepers]), access_log=None)
        for sleeper in sleepers
    ]
    for runner, port in zip(runners, ports, strict=True):
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
    await stopped.wait()
    for runner in runners:
        await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(serve(float(sys.argv[1]), [int(port) for port in sys.argv[2:]]))
