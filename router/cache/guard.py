"""A store that is slow, full or gone costs hits, never a request, and never more time than a setting says."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from router.cache.store import Size, Store, StoreFailed

REST_S = 2  # after a failure nobody waits for the store for so long; then one call tries it again
CLEAR_WITHIN_S = 30  # an operator's call, which may walk through everything

Result = TypeVar("Result")
logger = logging.getLogger(__name__)


class Guard:
    """Calls the store within `within_s`; what fails is counted, and the store left alone for a while."""

    def __init__(self, store: Store, *, within_s: float, now: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._within_s = within_s
        self._now = now
        self._rests_until = 0.0
        self.failures = 0
        self.clears = 0

    @property
    def kind(self) -> str:
        """memory, disk or redis."""
        return self._store.kind

    @property
    def is_resting(self) -> bool:
        """Whether it failed a moment ago and is not asked."""
        return self._now() < self._rests_until

    async def get(self, key: str) -> bytes | None:
        """What was kept; None also when nobody knows."""
        return await self._ask(lambda: self._store.get(key))

    async def put(self, key: str, value: bytes) -> None:
        """Keep it if that is possible."""
        await self._ask(lambda: self._store.put(key, value))

    async def sweep(self) -> None:
        """Delete what is past its time."""
        await self._ask(self._store.sweep)

    async def size(self) -> Size:
        """What is there; nothing is known of a store that rests."""
        return await self._ask(self._store.size) or Size(None, None)

    async def clear(self) -> None:
        """Forget everything; raises StoreFailed, since who asks must know. `clears` tells who runs meanwhile."""
        self.clears += 1
        try:
            async with asyncio.timeout(CLEAR_WITHIN_S):
                await self._store.clear()
        except TimeoutError as error:
            raise StoreFailed("it took too long") from error

    async def close(self) -> None:
        """Let go."""
        await self._ask(self._store.close)

    async def _ask(self, act: Callable[[], Awaitable[Result]]) -> Result | None:
        if self.is_resting:
            return None
        if self._rests_until:
            self._rests_until = self._now() + REST_S  # while one tries again, the others do not wait for it
        try:
            async with asyncio.timeout(self._within_s):
                result = await act()
        except (StoreFailed, TimeoutError) as error:
            self._fail(str(error) or "it took too long")
            return None
        self._rests_until = 0.0
        return result

    def _fail(self, why: str) -> None:
        self.failures += 1
        if not self.is_resting:
            logger.warning(
                "the cache failed and is left alone for %d s", REST_S, extra={"store": self.kind, "why": why}
            )
        self._rests_until = self._now() + REST_S
