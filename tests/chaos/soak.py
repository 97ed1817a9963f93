"""
`python -m tests.chaos.soak --hours 1`: a mixed load for a long time; memory and descriptors must stay where they are.

Right answers, streams, bad files and callers who hang up, at a rate that leaves the machine to others. The first tenth
of the time is warm-up; of the rest, the last sixth is held against the first.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections import Counter
from pathlib import Path
from random import Random

import aiohttp

from tests.chaos.clips import Clip, form_of, recorded
from tests.chaos.vitals import Vitals, growth_pct
from tests.integration.processes import Service, router, up, worker

LOOK_EVERY_S = 5
GROWTH_MAX_PCT = 5
WARM_UP_SHARE = 0.1


class Crowd:
    """Callers of every kind. State: what became of them."""

    def __init__(self, client: aiohttp.ClientSession, url: str, seed: int) -> None:
        self._client, self._url, self._rng = client, f"{url}/v1/audio/transcriptions", Random(seed)
        self._clips = recorded()
        self.outcomes: Counter[str] = Counter()

    async def come(self) -> None:
        """One caller, of a kind drawn at random."""
        clip = self._rng.choice(self._clips)
        kinds = (self._asks, self._wants_all, self._streams, self._sends_noise, self._hangs_up)
        (kind,) = self._rng.choices(kinds, weights=(60, 15, 15, 5, 5))
        try:
            self.outcomes[await kind(clip)] += 1
        except (aiohttp.ClientError, TimeoutError) as error:
            self.outcomes[f"failed: {type(error).__name__}"] += 1

    async def _asks(self, clip: Clip) -> str:
        async with self._client.post(self._url, data=form_of(clip.wav)) as response:
            return _judged(response.status, (await response.json()).get("text"), clip)

    async def _wants_all(self, clip: Clip) -> str:
        form = form_of(clip.wav, response_format="verbose_json", language="en")
        async with self._client.post(self._url, data=form) as response:
            return _judged(response.status, (await response.json()).get("text"), clip)

    async def _streams(self, clip: Clip) -> str:
        async with self._client.post(self._url, data=form_of(clip.wav, stream="true")) as response:
            events = [line for line in (await response.text()).splitlines() if line.startswith("data: ")]
            return _judged(response.status, json.loads(events[-1].removeprefix("data: ")).get("text"), clip)

    async def _sends_noise(self, clip: Clip) -> str:
        async with self._client.post(self._url, data=form_of(clip.wav[60:])) as response:
            await response.read()
            return "bad file refused" if response.status == 400 else f"bad file: {response.status}"

    async def _hangs_up(self, clip: Clip) -> str:
        try:
            async with asyncio.timeout(self._rng.uniform(0.001, 0.05)):
                return await self._asks(clip)
        except TimeoutError:
            return "hung up"


def _judged(status: int, text: str | None, clip: Clip) -> str:
    if status != 200:
        return f"failed: {status}"
    return "right" if text == clip.text else "wrong text"


async def soak(
    hours: float, rate: float, count: int, seed: int, *options: str
) -> tuple[Crowd, dict[str, list[Vitals]]]:
    """Run the load; the outcomes, and what each service held, look by look."""
    workers = [worker("spoken-digits", "--cpu-threads", "1") for _ in range(count)]
    services = [*workers, balancer := router(workers, *options)]
    names = dict(zip((*(f"worker {n}" for n in range(count)), "router"), services, strict=True))
    looks: dict[str, list[Vitals]] = {name: [] for name in names}
    async with up(*services) as client, asyncio.TaskGroup() as group:
        crowd = Crowd(client, balancer.url, seed)
        watch = group.create_task(_watch(names, looks))
        async with asyncio.TaskGroup() as callers:
            end = time.monotonic() + hours * 3600
            while time.monotonic() < end:
                callers.create_task(crowd.come())
                await asyncio.sleep(crowd._rng.expovariate(rate))
        watch.cancel()
    return crowd, looks


async def _watch(services: dict[str, Service], looks: dict[str, list[Vitals]]) -> None:
    began = time.monotonic()
    while True:
        for name, service in services.items():
            looks[name].append(await asyncio.to_thread(Vitals.of, service.process.pid, began))
        await asyncio.sleep(LOOK_EVERY_S)


def main() -> int:
    """Run, print, judge."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.soak", description=(__doc__ or "").strip())
    parser.add_argument("--hours", type=float, default=1)
    parser.add_argument("--rate", type=float, default=3, help="requests a second")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--looks", type=Path, help="write every look to this file, as JSON")
    given, options = parser.parse_known_args()
    crowd, looks = asyncio.run(soak(given.hours, given.rate, given.workers, given.seed, *options))
    print(dict(crowd.outcomes))
    is_good = not [name for name in crowd.outcomes if name.startswith(("failed", "wrong", "bad file:"))]
    for name, all_looks in looks.items():
        warm = all_looks[round(len(all_looks) * WARM_UP_SHARE) :]
        growths = {what: growth_pct(warm, what) for what in ("rss_mb", "fds")}
        is_good = is_good and max(growths.values()) <= GROWTH_MAX_PCT
        print(f"{name}: {warm[0]} -> {warm[-1]}; growth {growths} %")
    if given.looks:
        given.looks.write_text(json.dumps({n: [[v.at_s, v.rss_mb, v.fds] for v in all_] for n, all_ in looks.items()}))
    print("flat" if is_good else "NOT FLAT, or not all answered well")
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
