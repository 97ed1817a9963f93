"""
`python -m tests.chaos.overload`: ten times what the fleet can do, for a minute, by callers who do not wait their turn.

First the capacity is measured, by as many callers as keep every slot busy. Then requests come at ten times that rate
whatever happens to those before. What is done a second must stay at 90 % of capacity, who is refused must know within
100 ms, with a time to return, and memory must not follow the load.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from dataclasses import dataclass, replace

import aiohttp

from tests.chaos.clips import Clip, recorded
from tests.chaos.tally import Tally
from tests.chaos.vitals import Vitals
from tests.integration.processes import Service, router, up, worker

MEASURE_S = 10
GOODPUT_SHARE_MIN, REFUSED_P99_MAX_S, GROWTH_MAX_MB = 0.9, 0.1, 150
CLIP_BYTES = 20_000  # what is tested is the queue, not the client's processor


@dataclass(frozen=True)
class Found:
    """What came out."""

    capacity_s: float  # requests a second
    goodput_s: float
    tally: Tally
    grown_mb: float


async def flood(workers: int, model: str, factor: float, seconds: float, *options: str) -> Found:
    """Measure, then flood."""
    held = [worker(model) for _ in range(workers)]
    clip = recorded(4)[0]
    clip = replace(clip, wav=clip.wav[:CLIP_BYTES])
    async with up(*held, balancer := router(held, *options)) as client:
        await _capacity(client, balancer, clip, workers, 2)  # past slow start
        capacity = await _capacity(client, balancer, clip, workers, MEASURE_S)
        before = Vitals.of(balancer.process.pid)
        tally, most_mb = Tally(), before.rss_mb
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            count, done_in_time = 0, 0
            while (now := time.monotonic() - began) < seconds:
                while count < now * capacity * factor:
                    count += 1
                    group.create_task(tally.ask(client, balancer.url, clip, is_judged=False))
                most_mb = max(most_mb, Vitals.of(balancer.process.pid).rss_mb)
                await asyncio.sleep(0.02)
            done_in_time = tally.outcomes["right"]
        return Found(capacity, done_in_time / seconds, tally, most_mb - before.rss_mb)


async def _capacity(client: aiohttp.ClientSession, at: Service, clip: Clip, slots: int, seconds: float) -> float:
    tally, end = Tally(), time.monotonic() + seconds

    async def call() -> None:
        while time.monotonic() < end:
            await tally.ask(client, at.url, clip, is_judged=False)

    async with asyncio.TaskGroup() as group:
        for _ in range(2 * slots):
            group.create_task(call())
    return tally.outcomes["right"] / seconds


def main() -> int:
    """Run, print, judge."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.overload", description=(__doc__ or "").strip())
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--factor", type=float, default=10)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--model", default="fake:0.1")
    given, options = parser.parse_known_args()
    found = asyncio.run(flood(given.workers, given.model, given.factor, given.seconds, *options))
    tally, share = found.tally, found.goodput_s / found.capacity_s
    others = tally.besides("right", "refused")
    refused_p99_s = tally.percentile_s("refused", 99)
    print(f"capacity {found.capacity_s:.1f}/s; under {given.factor:g} times that {found.goodput_s:.1f}/s: {share:.1%}")
    print(f"{sum(tally.outcomes.values())} requests: {tally.outcomes['right']} answered, "
          f"{tally.outcomes['refused']} refused, others {others or 0}")  # fmt: skip
    print(f"refused within {1000 * tally.percentile_s('refused', 50):.1f} ms p50, {1000 * refused_p99_s:.1f} ms p99; "
          f"answered within {tally.percentile_s('right', 99):.1f} s p99")  # fmt: skip
    print(f"the router's memory grew by {found.grown_mb:.1f} MB at most")
    is_good = share >= GOODPUT_SHARE_MIN and refused_p99_s <= REFUSED_P99_MAX_S and found.grown_mb <= GROWTH_MAX_MB
    return 0 if is_good and not others else 1


if __name__ == "__main__":
    sys.exit(main())
