"""
What a hit costs: `python -m tests.chaos.hits`, for each store, beside the same requests with no cache.

A router and a scripted worker as processes, a clip of 139 kB over HTTP, one caller. Of several rounds the best counts:
what else the machine does only ever adds.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median, quantiles

import aiohttp

from fleet import wire
from tests.chaos.clips import form_of, recorded
from tests.integration.processes import router, up, worker
from tests.router.cache.redis_server import RedisServer

STORES = ("off", "memory", "disk", "redis")
WORKER_S = 0.02


@dataclass(frozen=True, slots=True)
class Timed:
    """One round of requests, each the seconds from sending to the last byte, and what the cache did for them."""

    took_s: tuple[float, ...]
    did: frozenset[str]

    @property
    def p50_s(self) -> float:
        return median(self.took_s)

    @property
    def p99_s(self) -> float:
        return quantiles(self.took_s, n=100)[98]


@contextmanager
def cache_options(store: str) -> Iterator[tuple[str, ...]]:
    """A router's options for this store, with a folder or a Redis of its own."""
    with tempfile.TemporaryDirectory(prefix="hits-") as folder:
        if store == "redis":
            redis = RedisServer(folder)
            try:
                yield "--cache", redis.url, "--cache-timeout-s", "5"
            finally:
                redis.stop()
        else:
            yield "--cache", store, "--cache-dir", folder, "--cache-timeout-s", "5"


async def rounds_of(store: str, *, requests: int, rounds: int, good_enough_s: float = 0.0) -> list[Timed]:
    """Ask for the same clip again and again; no more rounds once one had a median of `good_enough_s`."""
    workers, timed = [worker(f"fake:{WORKER_S}")], []
    with cache_options(store) as options:
        async with up(*workers, balancer := router(workers, *options)) as client:
            await timed_round(client, balancer.url, requests=2)
            for _ in range(rounds):
                timed.append(await timed_round(client, balancer.url, requests=requests))
                if timed[-1].p50_s < good_enough_s:
                    break
    return timed


async def timed_round(client: aiohttp.ClientSession, url: str, *, requests: int) -> Timed:
    """One after the other."""
    wav, took_s, did = recorded(5)[0].wav, [], set()
    for _ in range(requests):
        form = form_of(wav)
        began = time.monotonic()
        async with client.post(f"{url}/v1/audio/transcriptions", data=form) as response:
            await response.read()
            assert response.status == 200
        took_s.append(time.monotonic() - began)
        did.add(response.headers[wire.CACHE])
    return Timed(tuple(took_s), frozenset(did))


def main() -> int:
    """A line of docs/cache.md for each store."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.hits", description=__doc__)
    parser.add_argument("--requests", type=int, default=300, help="in a round (default: 300)")
    parser.add_argument("--rounds", type=int, default=5, help="of each store (default: 5)")
    options = parser.parse_args()
    for store in STORES:
        if store == "redis" and shutil.which("redis-server") is None:
            print("redis: no redis-server here, NOT measured")
            continue
        timed = asyncio.run(rounds_of(store, requests=options.requests, rounds=options.rounds))
        best = min(timed, key=lambda each: each.p50_s)
        did = ", ".join(sorted(best.did))
        print(f"| `{store}` | {did} | {best.p50_s * 1000:.1f} ms | {best.p99_s * 1000:.1f} ms |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
