"""Bodies that drip are refused; bodies that flow, and bodies that wait for us, are not."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from fleet.errors import RequestTimeout
from fleet.pace import steady


async def body(*chunks: bytes, pause_s: float = 0.0) -> AsyncIterator[bytes]:
    for chunk in chunks:
        await asyncio.sleep(pause_s)
        yield chunk


async def test_what_flows_is_passed_on():
    """Every chunk, unchanged."""
    assert [chunk async for chunk in steady(body(b"a", b"bc"), total_s=5)] == [b"a", b"bc"]


async def test_silence_is_refused():
    """After one window without enough bytes, not after the whole time."""
    with pytest.raises(RequestTimeout):
        [chunk async for chunk in steady(body(b"a", pause_s=30), total_s=600, window_s=0.05)]


async def test_a_drip_is_refused():
    """A byte now and then does not make it a body."""
    with pytest.raises(RequestTimeout):
        [chunk async for chunk in steady(body(*[b"a"] * 500, pause_s=0.01), total_s=600, window_s=0.1)]


async def test_the_whole_has_an_end():
    """However well it flows."""
    with pytest.raises(RequestTimeout):
        [chunk async for chunk in steady(body(*[bytes(100_000)] * 500, pause_s=0.01), total_s=0.1)]


async def test_our_own_slowness_does_not_count():
    """A full disk is not the caller's fault."""
    seen = 0
    async for _ in steady(body(b"a", b"b", b"c"), total_s=600, window_s=0.2):
        await asyncio.sleep(0.15)
        seen += 1
    assert seen == 3


async def test_an_end_that_is_known_is_not_waited_for():
    """What is over is over, though the source has not said so."""
    ended = iter((False, True))
    source = body(b"a", b"never", pause_s=0.01)
    assert [chunk async for chunk in steady(source, total_s=600, is_over=lambda: next(ended))] == [b"a"]
