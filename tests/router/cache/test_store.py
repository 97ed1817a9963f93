"""The contract of a store, kept by memory, disk and a real Redis alike."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from router.cache.disk import DiskStore
from router.cache.memory import MemoryStore
from router.cache.redis import RedisStore

LONG_S, SHORT_S = 300, 0.2
BYTES = bytes(range(256)) * 4


@pytest.fixture(params=["memory", "disk", "redis"])
def open_store(request, tmp_path):
    """Open a store of each kind; what it held is gone afterwards."""

    @asynccontextmanager
    async def opened(ttl_s=LONG_S, max_bytes=10_000_000):
        if request.param == "memory":
            store = MemoryStore(max_bytes=max_bytes, ttl_s=ttl_s)
        elif request.param == "disk":
            store = DiskStore(tmp_path / "answers", max_bytes=max_bytes, ttl_s=ttl_s)
        else:
            store = RedisStore(request.getfixturevalue("redis_server").url, ttl_s=ttl_s, within_s=20)
        try:
            yield store
            await store.clear()
        finally:
            await store.close()

    return opened


async def test_gives_back_what_was_put(open_store):
    """Any bytes, under their key and no other; the later wins."""
    async with open_store() as store:
        assert await store.get("a") is None
        await store.put("a", BYTES)
        await store.put("b", b"other")
        assert (await store.get("a"), await store.get("b"), await store.get("c")) == (BYTES, b"other", None)
        await store.put("a", b"")
        assert await store.get("a") == b""


async def test_large_answers_are_kept_whole(open_store):
    """As much as an hour's transcript with words, and more."""
    async with open_store() as store:
        await store.put("a", BYTES * 4096)
        assert await store.get("a") == BYTES * 4096


async def test_forgets_when_the_time_is_over(open_store):
    """By itself, without being asked to sweep."""
    async with open_store(ttl_s=SHORT_S) as store:
        await store.put("a", BYTES)
        async with asyncio.timeout(20):
            while await store.get("a") is not None:  # noqa: ASYNC110  a store has no event for it
                await asyncio.sleep(0.02)


async def test_clear_forgets_everything(open_store):
    """Also more than fits one batch."""
    async with open_store() as store:
        await asyncio.gather(*(store.put(f"k{n}", b"x") for n in range(700)))
        assert await store.get("k699") == b"x"
        await store.clear()
        assert [await store.get(f"k{n}") for n in (0, 350, 699)] == [None, None, None]


async def test_many_at_once(open_store):
    """Calls that cross each other do not mix answers up."""
    async with open_store() as store:

        async def use(number):
            for turn in range(5):
                await store.put(f"k{number}", b"%d-%d" % (number, turn))
                assert await store.get(f"k{number}") == b"%d-%d" % (number, turn)

        await asyncio.gather(*(use(number) for number in range(40)))


async def test_a_caller_who_stops_waiting_breaks_nothing(open_store):
    """Cancelled at any point, the store answers the next."""
    async with open_store() as store:
        await store.put("a", BYTES)
        for wait_s in (0, 0.0001, 0.001):
            for act in (store.get("a"), store.put("b", BYTES)):
                try:
                    async with asyncio.timeout(wait_s):
                        await act
                except TimeoutError:
                    pass
        assert await store.get("a") == BYTES


async def test_stays_within_its_bytes(open_store):
    """Memory and disk make room by the least used; Redis has a limit of its own."""
    async with open_store(max_bytes=400_000) as store:
        if store.kind == "redis":
            assert (await store.size()).size_bytes is None
            return
        await store.put("often", BYTES * 10)
        for number in range(200):
            await store.put(f"k{number}", BYTES * 10)
            assert await store.get("often") is not None, number
            await store.sweep()
        size = await store.size()
        assert size.size_bytes <= 400_000 and 5 < size.entries < 60
        assert await store.get("k0") is None and await store.get("k199") is not None
        await store.put("too much", bytes(500_000))
        assert await store.get("too much") is None


async def test_sweeping_leaves_nothing_of_what_is_past_its_time(open_store):
    """A transcript does not lie about after its time."""
    async with open_store(ttl_s=SHORT_S) as store:
        await store.put("a", BYTES)
        await store.sweep()
        if store.kind == "redis":
            return
        assert (await store.size()).entries == 1
        await asyncio.sleep(SHORT_S)
        await store.sweep()
        assert (await store.size()).entries == 0
