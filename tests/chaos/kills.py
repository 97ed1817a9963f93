"""
`python -m tests.chaos.kills`: workers of a running fleet killed with -9 at random moments, thirty times, under load.

`whisper-fleet up` with the real model. Callers that never try again must see no error and no wrong word. Streams that
had begun may end with an error event, which is counted apart; an end that looks complete and is not is a wrong text.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from random import Random

import aiohttp
import psutil

from tests.chaos.clips import Clip, form_of, recorded
from tests.chaos.tally import Tally
from tests.integration.conftest import Fleet, running

PAUSE_S = (1, 4)  # between kills, beside the time it takes until at least two workers are ready


async def kill(fleet: Fleet, kills: int, callers: int, seed: int) -> tuple[Tally, Tally]:
    """The tallies of callers and of streams."""
    rng, clips, is_over = Random(seed), recorded(), asyncio.Event()
    plain, streams = Tally(), Tally()

    async def call(client: aiohttp.ClientSession, number: int) -> None:
        own = Random(f"{seed} {number}")
        while not is_over.is_set():
            await plain.ask(client, fleet.url, own.choice(clips))

    async def listen(client: aiohttp.ClientSession) -> None:
        own = Random(seed)
        while not is_over.is_set():
            streams.outcomes[await _stream(client, fleet.url, own.choice(clips))] += 1

    async with aiohttp.ClientSession() as client, asyncio.TaskGroup() as group:
        for number in range(callers):
            group.create_task(call(client, number))
        group.create_task(listen(client))
        for _ in range(kills):
            await asyncio.sleep(rng.uniform(*PAUSE_S))
            while (await asyncio.to_thread(fleet.get, "/lb-status"))["fleet"]["ready"] < 2:  # noqa: ASYNC110  no event across processes
                await asyncio.sleep(0.05)
            _kill_one(rng, await asyncio.to_thread(fleet.services, "worker"))
        await asyncio.sleep(2)
        is_over.set()
    return plain, streams


def _kill_one(rng: Random, workers: list[psutil.Process]) -> None:
    try:
        rng.choice(workers).send_signal(signal.SIGKILL)
    except (psutil.NoSuchProcess, IndexError):
        print("that one was gone already")


async def _stream(client: aiohttp.ClientSession, url: str, clip: Clip) -> str:
    form = form_of(clip.wav, stream="true")
    try:
        async with client.post(f"{url}/v1/audio/transcriptions", data=form) as response:
            events = [line for line in (await response.text()).splitlines() if line.startswith("data: ")]
    except aiohttp.ClientError as error:
        return f"failed: {type(error).__name__}"
    last = json.loads(events[-1].removeprefix("data: ")) if events else {}
    if "error" in last:
        return "error event"
    return "right" if last.get("text") == clip.text else "wrong text"


def main() -> int:
    """Run, print, judge."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.kills", description=(__doc__ or "").strip())
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--callers", type=int, default=4)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with running("--workers", str(given.workers), "--model", "spoken-digits") as fleet:
        plain, streams = asyncio.run(kill(fleet, given.kills, given.callers, given.seed))
        died = sum("was killed by SIGKILL" in line for line in fleet.out)
    print(f"{died} workers died; plain: {dict(plain.outcomes)}, {plain.retried} tried again inside; "
          f"streams: {dict(streams.outcomes)}")  # fmt: skip
    print(f"p50 {plain.percentile_s('right', 50):.3f} s, p99 {plain.percentile_s('right', 99):.3f} s")
    return 1 if plain.besides("right") or streams.besides("right", "error event") or died < given.kills else 0


if __name__ == "__main__":
    sys.exit(main())
