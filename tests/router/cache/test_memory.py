"""The rest is the contract's: test_store.py."""

from router.cache.memory import MemoryStore


async def test_time_is_counted_from_the_putting():
    """To the very end, and not by when it was last used."""
    now = [0.0]
    store = MemoryStore(max_bytes=10_000, ttl_s=10, now=lambda: now[0])
    await store.put("a", b"x")
    for now[0] in (3, 9.9):
        assert await store.get("a") == b"x"
    now[0] = 10
    assert await store.get("a") is None
    assert (await store.size()).entries == 0


async def test_bytes_are_counted_right_whatever_happens():
    """Replaced, dropped, expired, cleared: nothing is counted twice or forgotten."""
    store = MemoryStore(max_bytes=5_000, ttl_s=10)
    for number in range(50):
        await store.put(f"k{number % 7}", bytes(100 * (number % 5)))
        assert (await store.size()).size_bytes <= 5_000
    await store.clear()
    assert ((await store.size()).entries, (await store.size()).size_bytes) == (0, 0)
