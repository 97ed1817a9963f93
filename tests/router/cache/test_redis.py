"""The rest is the contract's: test_store.py."""

import time

import pytest
from redis import Redis

from router.cache.redis import RedisStore
from router.cache.store import StoreFailed


async def test_other_peoples_keys_are_left_alone(redis_server):
    """DELETE /cache on a Redis that others use too."""
    with Redis.from_url(redis_server.url) as other:
        other.set("theirs", b"1")
        store = RedisStore(redis_server.url, ttl_s=300, within_s=20)
        await store.put("a", b"x")
        await store.clear()
        assert await store.get("a") is None
        assert other.get("theirs") == b"1"
        await store.close()


async def test_what_is_kept_has_an_end(redis_server):
    """Redis itself deletes it, should no router live to see the day."""
    store = RedisStore(redis_server.url, ttl_s=300, within_s=20)
    await store.put("a", b"x")
    with Redis.from_url(redis_server.url) as other:
        (key,) = other.scan_iter(match="whisper-fleet:*")
        assert 0 < other.pttl(key) <= 300_000
    await store.close()


async def test_nobody_there_is_said_at_once_without_its_address(free_port):
    """One try, no waiting; a URL may hold a password."""
    store = RedisStore(f"redis://:secret@127.0.0.1:{free_port}/0", ttl_s=1, within_s=5)
    began = time.monotonic()
    with pytest.raises(StoreFailed) as raised:
        await store.get("a")
    assert time.monotonic() - began < 3
    assert "secret" not in str(raised.value) and str(free_port) not in str(raised.value)
    await store.close()


@pytest.fixture
def free_port(unused_tcp_port):
    """A port that nobody listens on."""
    return unused_tcp_port
