"""What a worker does about its memory."""

import asyncio
import itertools

import pytest

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


async def test_a_peak_is_not_the_end(monkeypatch: pytest.MonkeyPatch):
    """A long clip passes through; only what stays counts."""
    raised: list[int] = []
    monkeypatch.setattr(memory.signal, "raise_signal", raised.append)
    sizes = itertools.cycle([101, 101, 101, 101, 99])
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(memory.watch(100, look_s=0, rss=lambda: next(sizes)), 0.2)
    assert raised == []
