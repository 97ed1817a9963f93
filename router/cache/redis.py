"""Answers in Redis: several routers share them. How much it may hold is Redis's own `maxmemory`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from router.cache.store import Size, StoreFailed

PREFIX = "whisper-fleet:answer:"
CONNECTIONS = 16  # a look-up takes a fraction of a millisecond; who finds none free waits for one
SCAN_COUNT = 500


class RedisStore:
    """Connects with the first call; a connection that breaks is made anew with the next."""

    kind = "redis"

    def __init__(self, url: str, *, ttl_s: float, within_s: float) -> None:
        self._ttl_ms = max(1, round(1000 * ttl_s))
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=CONNECTIONS,
            timeout=within_s,
            socket_timeout=within_s,
            socket_connect_timeout=within_s,
            retry=Retry(NoBackoff(), 0),  # the guard decides when to try again
        )
        self._redis = Redis(connection_pool=pool)
        self._pool = pool

    async def get(self, key: str) -> bytes | None:
        """What was put there."""
        async with _failing():
            value = await self._redis.get(PREFIX + key)
        return value.encode() if isinstance(value, str) else value

    async def put(self, key: str, value: bytes) -> None:
        """Keep it; Redis deletes it when its time is over."""
        async with _failing():
            await self._redis.set(PREFIX + key, value, px=self._ttl_ms)

    async def clear(self) -> None:
        """Delete what is ours, bit by bit, so that Redis is not held up; nobody else's keys are touched."""
        async with _failing():
            batch: list[bytes] = []
            async for key in self._redis.scan_iter(match=f"{PREFIX}*", count=SCAN_COUNT):
                batch.append(key)
                if len(batch) == SCAN_COUNT:
                    await self._redis.unlink(*batch)
                    batch.clear()
            if batch:
                await self._redis.unlink(*batch)

    async def sweep(self) -> None:
        """Redis does."""

    async def size(self) -> Size:
        """Counting would be a walk through everybody's keys."""
        return Size(None, None)

    async def close(self) -> None:
        """Close the connections."""
        async with _failing():
            await self._redis.aclose()
            await self._pool.disconnect()


@asynccontextmanager
async def _failing() -> AsyncIterator[None]:
    """Redis's errors under one name; its address and key stay out of the message."""
    try:
        yield
    except (RedisError, OSError) as error:
        raise StoreFailed(type(error).__name__) from error
