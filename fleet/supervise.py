"""
Keep services running on this machine: start, wait until ready, restart with back-off, stop in order.

A service that ends is started again after 0.5 s, doubling to 30 s, from the start again once it was ready for a
while. Before the whole fleet was ready once, an ending is a mistake of the operator's more often than an accident:
exit code 3 (it could not start and would not the next time either) ends everything at once with the service's own
sentence, three crashes in a row end it too.
"""

import asyncio
import math
import signal
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import aiohttp

from fleet.child import Child, ChildSpec, running
from fleet.serve import EXIT_CRASH, EXIT_OK, EXIT_STARTUP

PAUSE_MIN_S, PAUSE_MAX_S = 0.5, 30.0
STEADY_S = 10  # ready for this long: the next ending is a new accident, not the last one going on
FIRST_STARTS = 3  # crashes in a row before the fleet was ever ready
POLL_S = 0.05  # of a service that is starting; a start takes seconds
PROBE_TIMEOUT_S = 2
LAST_WORDS = 20  # lines kept for the message when it dies


class ServiceFailed(Exception):
    """A service that will not start; `code` is the exit code for the whole fleet."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class Happening(StrEnum):
    """What a keeper tells its listener."""

    READY = "ready"
    ENDED = "ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One happening: READY after `took_s`; ENDED with `code`, to be started again in `pause_s`."""

    name: str
    happening: Happening
    took_s: float = 0.0
    code: int = 0
    pause_s: float = 0.0
    starts: int = 1


class Keeper:
    """
    Keeps one service running until it is stopped.

    State: the child that runs now, how often in a row it ended too soon, and whether it is to stop.
    """

    def __init__(
        self,
        spec: ChildSpec,
        *,
        http: aiohttp.ClientSession,
        on_event: Callable[[Event], None],
        on_line: Callable[[str, str], None],
    ) -> None:
        self.spec = spec
        self.ready = asyncio.Event()
        self._http = http
        self._on_event = on_event
        self._on_line = on_line
        self._child: Child | None = None
        self._stopping = asyncio.Event()
        self._stopped = asyncio.Event()
        self._failures = 0
        self._starts = 0
        self._ready_at = math.inf
        self._fleet_was_ready = False
        self._last_words: deque[str] = deque(maxlen=LAST_WORDS)

    def __repr__(self) -> str:
        """`<Keeper worker-1 ready, 1 start>`."""
        state = "ready" if self.ready.is_set() else "not ready"
        return f"<Keeper {self.spec.name} {state}, {self._starts} start{'s' * (self._starts != 1)}>"

    async def run(self) -> None:
        """Start it and start it again; returns when stopped, raises ServiceFailed if it cannot work."""
        try:
            while not self._stopping.is_set():
                code = await self._run_once()
                if not self._stopping.is_set():
                    await self._pause(code)
        finally:
            self._stopped.set()

    async def stop(self) -> None:
        """Drain it; returns when it is gone."""
        self._stopping.set()
        if self._child is not None:
            self._child.drain()
        await self._stopped.wait()

    def fleet_is_ready(self) -> None:
        """From now on the service is restarted for ever: the operator's settings are known to work."""
        self._fleet_was_ready = True

    async def _run_once(self) -> int:
        """Its exit code. The readiness of an earlier child says nothing about this one."""
        self._starts += 1
        self._ready_at = math.inf
        try:
            async with running(self.spec) as child:
                return await self._attend(child)
        except OSError as error:  # no memory, no process to be had: it may be had later
            self._hear(f"error: cannot be started: {error.strerror}")
            return EXIT_CRASH

    async def _attend(self, child: Child) -> int:
        async with asyncio.TaskGroup() as group:
            watcher = group.create_task(self._watch_ready())
            self._child = child
            if self._stopping.is_set():  # while the process was being made
                child.drain()
            try:
                return await child.wait(self._hear)
            finally:
                self._child = None
                self.ready.clear()
                watcher.cancel()

    async def _pause(self, code: int) -> None:
        was_steady = time.monotonic() - self._ready_at >= STEADY_S
        is_planned = code == EXIT_OK  # it drained by itself, as a worker does that has grown too large
        self._failures = 1 if was_steady or is_planned else self._failures + 1
        if not self._fleet_was_ready and (code == EXIT_STARTUP or self._failures >= FIRST_STARTS):
            raise ServiceFailed(self._why(code), code if code == EXIT_STARTUP else 1)
        pause = pause_s(self._failures)
        self._on_event(self._event(Happening.ENDED, code=code, pause_s=pause))
        try:
            async with asyncio.timeout(pause):
                await self._stopping.wait()
        except TimeoutError:
            return

    async def _watch_ready(self) -> None:
        began = time.monotonic()
        while not await answers_ok(self._http, self.spec.ready_url):  # noqa: ASYNC110  another process's event
            await asyncio.sleep(POLL_S)
        self._ready_at = time.monotonic()
        self.ready.set()
        self._on_event(self._event(Happening.READY, took_s=self._ready_at - began))

    def _hear(self, line: str) -> None:
        self._last_words.append(line)
        self._on_line(self.spec.name, line)

    def _event(self, happening: Happening, *, took_s: float = 0.0, code: int = 0, pause_s: float = 0.0) -> Event:
        name, starts = self.spec.name, self._starts
        return Event(name=name, happening=happening, took_s=took_s, code=code, pause_s=pause_s, starts=starts)

    def _why(self, code: int) -> str:
        """The sentence that the service said itself, if it did."""
        said = [line for line in self._last_words if line.startswith("error: ")]
        if said:
            return f"{self.spec.name}: {said[-1].removeprefix('error: ')}"
        last = f"; it said: {self._last_words[-1]}" if self._last_words else ""
        return f"{self.spec.name} {ended(code)} before it was ready{last}"


def ended(code: int) -> str:
    """`ended with exit code 1`, `was killed by SIGKILL`: what a shell writes as 137 tells few people anything."""
    if code > 128 and code - 128 in set(signal.Signals):
        return f"was killed by {signal.Signals(code - 128).name}"
    return f"ended with exit code {code}"


def pause_s(failures: int) -> float:
    """Seconds before the next start, after so many endings in a row."""
    return min(PAUSE_MAX_S, PAUSE_MIN_S * 2.0 ** min(failures - 1, 16))


async def answers_ok(http: aiohttp.ClientSession, url: str) -> bool:
    """Whether the address answers 200 now."""
    try:
        async with http.get(url, timeout=aiohttp.ClientTimeout(total=PROBE_TIMEOUT_S)) as response:
            return response.status == 200
    except (aiohttp.ClientError, TimeoutError, OSError):
        return False
