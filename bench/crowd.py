"""How well the router keeps many workers busy, each with an engine that is a sleep."""

from __future__ import annotations

import asyncio
import time

from bench import stand
from bench.bars import Bar, percentile
from bench.load import closed_loop
from bench.session import Session
from bench.stand import Stand

WORKERS, SLEEP_S = 64, 1.0
CALLERS = 2 * WORKERS  # there is always somebody waiting


async def crowd(session: Session) -> list[Bar]:
    """Slot utilisation of the middle, and of the quarter that gets least."""
    session.on_turn(f"{WORKERS} simulated workers")
    async with stand.crowd(WORKERS, SLEEP_S) as (running, tally_url):
        shares = await _busy_shares(session, running, tally_url)
    workers = f"router keeps {WORKERS} simulated workers of one slot busy ({SLEEP_S:g} s a clip)"
    return [
        Bar(
            what=f"{workers}: share of their time, p25 of the workers",
            measured=percentile(shares, 0.25),
            at_least=0.97,
            detail=f"mean {sum(shares) / len(shares):.3f}, least {min(shares):.3f}",
        )
    ]


async def _busy_shares(session: Session, running: Stand, tally_url: str) -> list[float]:
    """For each worker, of the time between two looks, the part that it slept."""
    length_s = max(10 * SLEEP_S, 3 * session.turn_s) if not session.is_quick else 5 * SLEEP_S
    async with asyncio.TaskGroup() as group:
        group.create_task(
            closed_loop(running.http, running.url, session.forms, callers=CALLERS, seconds=length_s + 4 * SLEEP_S)
        )
        await asyncio.sleep(3 * SLEEP_S)  # slow start is over
        before, began = await _tally(running, tally_url), time.monotonic()
        await asyncio.sleep(length_s)
        after, ended = await _tally(running, tally_url), time.monotonic()
    return [(late - early) / (ended - began) for early, late in zip(before, after, strict=True)]


async def _tally(running: Stand, url: str) -> list[float]:
    async with running.http.get(url) as response:
        seconds: list[float] = await response.json()
        return seconds
