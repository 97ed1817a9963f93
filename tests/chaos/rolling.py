"""
`python -m tests.chaos.rolling`: every worker, then every router, replaced under load, round by round; nobody notices.

Two routers behind a list that follows /readyz, as a Service of Kubernetes or a load balancer does; callers that never
try again; scripted workers, each replaced by SIGTERM and a new process.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import signal
import sys
from collections.abc import Callable

import aiohttp

from tests.chaos.clips import recorded
from tests.chaos.tally import Tally
from tests.integration.processes import Service, router, up, worker

MODEL = "fake:0.02"
NOTICE_S, LOOK_EVERY_S = 1.5, 0.2


class Balancer:
    """Two routers, and which of them take requests. State: the processes, the list."""

    def __init__(self, services: list[Service]) -> None:
        self.services = services
        self.ready = [service.url for service in services]
        self._turns = itertools.count()

    def pick(self) -> str:
        """The next one."""
        return self.ready[next(self._turns) % len(self.ready)]

    async def follow(self, client: aiohttp.ClientSession) -> None:
        """Ask each for its readiness, for ever."""
        while True:
            found = [service.url for service in self.services if await is_ready(client, service.url)]
            self.ready = found or self.ready
            await asyncio.sleep(LOOK_EVERY_S)


async def is_ready(client: aiohttp.ClientSession, url: str) -> bool:
    """Whether a service says that it takes requests."""
    try:
        async with client.get(f"{url}/readyz", timeout=aiohttp.ClientTimeout(2)) as response:
            return response.status == 200
    except (aiohttp.ClientError, TimeoutError):
        return False


async def replace(client: aiohttp.ClientSession, held: list[Service], new: Callable[[int], Service]) -> None:
    """One after the other: SIGTERM, exit code 0, a new process on the same port, ready."""
    for place, old in enumerate(list(held)):
        old.send(signal.SIGTERM)
        code = await old.exit_code()
        assert code == 0, f"exit code {code}: {old.log.read_text()}"
        held[place] = new(old.port)
        old.stop()
        await held[place].wait_ready(client)


async def roll(requests: int, rounds: int, workers: int, callers: int) -> tuple[Tally, int]:
    """Replace everything `rounds` times, and more often until so many requests were made; the tally, replacements."""
    held = [worker(MODEL) for _ in range(workers)]

    def new_router(port: int | None = None) -> Service:
        return router(held, "--drain-notice-s", str(NOTICE_S), port=port)

    balancer = Balancer([new_router(), new_router()])
    tally, clip, is_over, replaced = Tally(), recorded(4)[0], asyncio.Event(), 0

    async def call(client: aiohttp.ClientSession) -> None:
        while not is_over.is_set():
            await tally.ask(client, balancer.pick(), clip, is_judged=False)

    try:
        async with up(*held, *balancer.services) as client, asyncio.TaskGroup() as group:
            following = group.create_task(balancer.follow(client))
            calling = [group.create_task(call(client)) for _ in range(callers)]
            while replaced < rounds * (workers + 2) or sum(tally.outcomes.values()) < requests:
                await replace(client, held, lambda port: worker(MODEL, port=port))
                await replace(client, balancer.services, new_router)
                replaced += workers + 2
            is_over.set()
            await asyncio.wait(calling)
            following.cancel()
    finally:
        for service in (*held, *balancer.services):
            service.stop()
    return tally, replaced


def main() -> int:
    """Run, print, judge."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.rolling", description=(__doc__ or "").strip())
    parser.add_argument("--requests", type=int, default=10_000, help="at least")
    parser.add_argument("--rounds", type=int, default=3, help="at least")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--callers", type=int, default=3, help="at once; 3 of 4 slots is a load of about 0.7")
    given = parser.parse_args()
    tally, replaced = asyncio.run(roll(given.requests, given.rounds, given.workers, given.callers))
    failed = tally.besides("right")
    print(f"{sum(tally.outcomes.values())} requests while {replaced} processes were replaced, "
          f"{replaced // (given.workers + 2)} times each; {tally.retried} tried again inside")  # fmt: skip
    print(f"p50 {tally.percentile_s('right', 50):.3f} s, p99 {tally.percentile_s('right', 99):.3f} s")
    print(f"failed: {failed or 0}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
