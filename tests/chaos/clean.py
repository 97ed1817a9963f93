"""
`async with assert_clean(fleet):` what must hold after any fault, whatever it was.

A good request is answered right, what was held is given back (slots, queue, spool, tasks, threads, descriptors,
children, memory), every request was counted once, and no step of the event loop took more than 100 ms of processor
time.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

import aiohttp
import psutil

from tests.router.scripted import ScriptedFleet, answer, until

STEP_MAX_S = 0.1
RSS_MAX_MB = 20
BACK_WITHIN_S = 15
SPARE_FDS = 8  # connections that are kept open for the next request, on both sides of the router
OUTCOMES = ("ok", "caller_error", "refused", "failed", "cancelled", "deadline")


@dataclass(frozen=True)
class Held:
    """What this process holds."""

    tasks: int
    threads: int
    fds: int
    children: int
    rss_mb: float

    @classmethod
    def now(cls) -> Held:
        process = psutil.Process(os.getpid())
        if sys.platform == "linux":
            ctypes.CDLL(None).malloc_trim(0)  # what the C library keeps for itself is not held by anybody
        rss_mb = process.memory_info().rss / 1e6
        tasks, threads = len(asyncio.all_tasks()), threading.active_count()
        return cls(tasks, threads, process.num_fds(), len(process.children(recursive=True)), rss_mb)

    def is_back_to(self, before: Held) -> bool:
        """Whether no more is held than before, connections and to_thread's threads apart."""
        return (
            self.tasks <= before.tasks + SPARE_FDS
            and self.threads <= before.threads + (os.cpu_count() or 1) + 4
            and self.fds <= before.fds + SPARE_FDS
            and self.children <= before.children
            and self.rss_mb <= before.rss_mb + RSS_MAX_MB
        )


@asynccontextmanager
async def assert_clean(fleet: ScriptedFleet, key: str = "") -> AsyncIterator[None]:
    """Everything in the docstring above; the block may leave workers in whatever mood. `key` is for good requests."""
    await golden(fleet, key)
    before = Held.now()
    own = fleet.client
    async with aiohttp.ClientSession() as fleet.client:  # the block's callers, who leave with their connections
        with longest_step() as step_s:
            yield
    fleet.client = own
    for worker in fleet.workers:
        worker.behaviour, worker.answers_probes = answer, True
    await until(fleet.is_clean, "everything given back")
    await golden(fleet, key)
    await given_back(before)
    totals = fleet.service._ledger.totals
    assert sum(totals[name] for name in OUTCOMES) == totals["requests"], totals
    assert step_s[0] <= STEP_MAX_S, f"a step of {step_s[0]:.3f} s"


async def given_back(before: Held) -> None:
    """Wait until this process holds no more than before; fails if it goes on to."""
    deadline = time.monotonic() + BACK_WITHIN_S
    while not (held := Held.now()).is_back_to(before):
        assert time.monotonic() < deadline, f"{held} is more than {before}"
        gc.collect()
        await asyncio.sleep(0.02)


async def golden(fleet: ScriptedFleet, key: str = "") -> None:
    """A good request is answered right, at the latest when who failed is taken back."""
    bearer = {"header_Authorization": f"Bearer {key}"} if key else {}
    status, _, body = await fleet.transcribe(b"RIFFgolden", **bearer)
    assert (status, set(body)) == (200, {"text"}), body
    assert body["text"] in {worker.name for worker in fleet.workers}


@contextmanager
def longest_step() -> Iterator[list[float]]:
    """Processor seconds of the longest step of the event loop; time that others took is not counted."""
    longest, run = [0.0], asyncio.Handle._run

    def timed(handle: asyncio.Handle) -> None:
        began = time.thread_time()
        run(handle)
        longest[0] = max(longest[0], time.thread_time() - began)

    gc.collect()
    gc.freeze()  # nothing goes through what hundreds of tests before left in the middle of a step, or ever again
    asyncio.Handle._run = timed  # type: ignore[method-assign]
    try:
        yield longest
    finally:
        asyncio.Handle._run = run  # type: ignore[method-assign]
