import asyncio
import time

import pytest

from router.cache.guard import REST_S, Guard
from router.cache.memory import MemoryStore
from router.cache.store import StoreFailed


class Moody(MemoryStore):
    """A store whose next calls fail or hang."""

    def __init__(self):
        super().__init__(max_bytes=10_000, ttl_s=300)
        self.mood = "well"
        self.asked = 0

    async def get(self, key):
        self.asked += 1
        if self.mood == "fails":
            raise StoreFailed("no")
        if self.mood == "hangs":
            await asyncio.sleep(600)
        return await super().get(key)

    async def clear(self):
        raise StoreFailed("no")


@pytest.fixture
def guarded():
    now = [100.0]
    store = Moody()
    return store, Guard(store, within_s=0.05, now=lambda: now[0]), now


async def test_a_failure_is_nothing_kept_and_then_nobody_asks(guarded):
    """Until the rest is over; then one call that goes well ends it."""
    store, guard, now = guarded
    await guard.put("a", b"x")
    store.mood = "fails"
    assert await guard.get("a") is None
    assert guard.is_resting and guard.failures == 1
    store.mood = "well"
    assert await guard.get("a") is None
    assert store.asked == 1
    now[0] += REST_S
    assert await guard.get("a") == b"x"
    assert not guard.is_resting


async def test_a_store_that_hangs_costs_its_limit_once(guarded):
    """A hundred requests: those at once wait the limit together, those after not at all."""
    store, guard, _ = guarded
    store.mood = "hangs"
    began = time.monotonic()
    await asyncio.gather(*(guard.get("a") for _ in range(50)))
    for _ in range(50):
        assert await guard.get("a") is None
    assert time.monotonic() - began < 1
    assert store.asked == 50


async def test_one_tries_again_and_the_others_do_not_wait_for_it(guarded):
    """After the rest, while it still hangs."""
    store, guard, now = guarded
    store.mood = "hangs"
    await guard.get("a")
    now[0] += REST_S
    await asyncio.gather(*(guard.get("a") for _ in range(20)))
    assert store.asked == 2


async def test_who_clears_is_told_that_it_failed(guarded):
    """Unlike a request, which has no use for that."""
    _, guard, _ = guarded
    with pytest.raises(StoreFailed):
        await guard.clear()


async def test_a_cancelled_caller_is_no_failure(guarded):
    """Who hangs up while the store is asked says nothing about the store."""
    store, guard, _ = guarded
    store.mood = "hangs"
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.001):
            await guard.get("a")
    assert guard.failures == 0
