"""Asks each worker how it is, on a timer, and tells the pool; and gives the queue a nudge now and then."""

import asyncio
import errno
import time
from collections.abc import Callable
from random import Random

import aiohttp

from fleet import wire
from fleet.wire import LoadReport
from router.pool import Pool
from router.upstream import Worker

JITTER = 0.2
TICK_S = 0.2  # pauses and ejections end without an event; this notices
REPORT_BYTES_MAX = 64 * 1024


class Probe:
    """One question a second to each worker, never two at once to the same."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        pool: Pool,
        *,
        router_id: str,
        interval_s: float,
        timeout_s: float,
        misses_limit: int,
        on_change: Callable[[], None],
        rng: Random,
    ) -> None:
        self._session = session
        self._pool = pool
        self._headers = {wire.ROUTER: router_id}
        self._interval_s = interval_s
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._misses_limit = misses_limit
        self._on_change = on_change
        self._rng = rng
        self._asking: set[str] = set()
        self._due: dict[str, float] = {}

    async def loop(self) -> None:
        """Ask whoever is due, for ever."""
        async with asyncio.TaskGroup() as group:
            while True:
                for worker in self._pool:
                    if worker.url not in self._asking and time.monotonic() >= self._due.get(worker.url, 0):
                        self._asking.add(worker.url)
                        group.create_task(self._ask(worker), name=f"probe {worker.url}")
                self._due = {url: due for url, due in self._due.items() if url in self._pool.workers}
                self._on_change()
                await asyncio.sleep(min(TICK_S, self._interval_s))

    async def _ask(self, worker: Worker) -> None:
        started = time.monotonic()
        try:
            report = await self._report(worker)
            now = time.monotonic()
            self._pool.heard(worker, report, now, probe_s=now - started)
        except aiohttp.ClientConnectorError as error:
            if error.errno == errno.ECONNREFUSED:
                self._pool.refused(worker, time.monotonic())
            else:
                self._pool.missed(worker, time.monotonic(), self._misses_limit)
        except (aiohttp.ClientError, OSError, ValueError, TimeoutError):
            self._pool.missed(worker, time.monotonic(), self._misses_limit)
        finally:
            self._asking.discard(worker.url)
            wait_s = self._interval_s * self._rng.uniform(1 - JITTER, 1 + JITTER)
            if not worker.is_ready:
                wait_s = min(wait_s, TICK_S)  # a worker that starts is waited for
            self._due[worker.url] = started + wait_s
        self._on_change()

    async def _report(self, worker: Worker) -> LoadReport:
        async with self._session.get(f"{worker.url}/load", headers=self._headers, timeout=self._timeout) as response:
            body = b""
            async for chunk in response.content.iter_any():
                body += chunk
                if response.status != 200 or len(body) > REPORT_BYTES_MAX:
                    raise ValueError("not a load report")
            return LoadReport.from_text(body)
