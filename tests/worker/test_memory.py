"""What a worker does about its memory."""

import asyncio
import itertools
import subprocess
import sys

import pytest

from fleet.serve import StartupError
from worker import memory


async def test_without_a_limit_nothing_is_watched():
    """The default."""
    await asyncio.wait_for(memory.watch(0, rss=lambda: 10**12), 5)


async def test_a_worker_that_stays_too_large_asks_to_be_ended(monkeypatch: pytest.MonkeyPatch):
    """As an operator would: SIGTERM, which drains and exits with 0."""
    raised: list[int] = []
    monkeypatch.setattr(memory.signal, "raise_signal", raised.append)
    await asyncio.wait_for(memory.watch(100, look_s=0, rss=lambda: 101), 5)
    assert raised == [memory.signal.SIGTERM]


async def test_a_limit_below_the_model_is_said_and_no_reason_to_start_again():
    """A fresh worker would be as large, and be started again for ever."""
    with pytest.raises(StartupError, match="MAX_RSS_MB"):
        await asyncio.wait_for(memory.watch(100, lambda: True, look_s=0, rss=lambda: 101), 5)


async def test_a_peak_is_not_the_end(monkeypatch: pytest.MonkeyPatch):
    """A long clip passes through; only what stays counts."""
    raised: list[int] = []
    monkeypatch.setattr(memory.signal, "raise_signal", raised.append)
    sizes = itertools.cycle([101, 101, 101, 101, 99])
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(memory.watch(100, look_s=0, rss=lambda: next(sizes)), 0.2)
    assert raised == []


class Heap:
    """A process whose size a test decides; trimming brings it down to what is in use."""

    def __init__(self, *sizes_mb):
        self.sizes_mb = list(sizes_mb)
        self.in_use_mb = 100
        self.trims = 0
        self.looked = asyncio.Event()

    def rss(self):
        if len(self.sizes_mb) == 1:
            self.looked.set()
        return (self.sizes_mb.pop(0) if len(self.sizes_mb) > 1 else self.sizes_mb[0]) * 1_000_000

    def trim(self):
        self.trims += 1
        self.sizes_mb.insert(0, self.in_use_mb)


async def trims(heap, *, is_idle):
    """How often a process with these sizes is trimmed."""
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        loop = group.create_task(memory.give_back(lambda: is_idle, look_s=0, rss=heap.rss, trim=heap.trim))
        await heap.looked.wait()
        loop.cancel()
    return heap.trims


async def test_an_idle_worker_gives_back_what_a_call_left():
    """Once the loading is over, and again after a call; not while nothing grows."""
    assert await trims(Heap(200, 200, 200, 101, 101, 400, 101, 101), is_idle=True) == 2


async def test_a_busy_worker_keeps_its_blocks():
    """What the next call needs again is not given back, unless far more has piled up than a call needs."""
    assert await trims(Heap(200, 200, 220, 230, 240, 240), is_idle=False) == 0
    assert await trims(Heap(200, 200, 220, 900, 101), is_idle=False) == 1


def test_freed_blocks_stay_and_go():
    """In a process of its own: what was freed is used again without new pages, and is gone after a trim."""
    script = """
import resource
from worker import memory
memory.keep_blocks()
faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def call(): bytearray(64 << 20)
call()
before = faults(); call(); call()
kept = faults() - before
large = memory.resident(); memory.trim(); small = memory.resident()
print(kept, large - small)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    faults, given_back = map(int, done.stdout.split())
    assert faults < 1000  # of 32,768 pages
    assert given_back > 60_000_000
