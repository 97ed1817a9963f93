"""Answers in this process: gone with it, and never on a disk."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

from router.cache.store import Size

ENTRY_BYTES = 400  # a dictionary's entry, the key, two small objects


class MemoryStore:
    """State: the answers, the least lately used first, and their bytes together."""

    kind = "memory"

    def __init__(self, *, max_bytes: int, ttl_s: float, now: Callable[[], float] = time.monotonic) -> None:
        self._max_bytes = max_bytes
        self._ttl_s = ttl_s
        self._now = now
        self._kept: OrderedDict[str, tuple[float, bytes]] = OrderedDict()  # until when, what
        self._size_bytes = 0

    async def get(self, key: str) -> bytes | None:
        """What was put there."""
        until, value = self._kept.get(key, (0.0, b""))
        if self._now() >= until:
            self._drop(key)
            return None
        self._kept.move_to_end(key)
        return value

    async def put(self, key: str, value: bytes) -> None:
        """Keep it."""
        self._drop(key)
        if len(value) + ENTRY_BYTES > self._max_bytes:
            return
        self._kept[key] = self._now() + self._ttl_s, value
        self._size_bytes += len(value) + ENTRY_BYTES
        while self._size_bytes > self._max_bytes:
            self._drop(next(iter(self._kept)))

    async def clear(self) -> None:
        """Forget everything."""
        self._kept.clear()
        self._size_bytes = 0

    async def sweep(self) -> None:
        """Delete what is past its time."""
        now = self._now()
        for key in [key for key, (until, _) in self._kept.items() if now >= until]:
            self._drop(key)

    async def size(self) -> Size:
        """What it holds."""
        return Size(len(self._kept), self._size_bytes)

    async def close(self) -> None:
        """Nothing to let go of."""

    def _drop(self, key: str) -> None:
        _, value = self._kept.pop(key, (0.0, None))
        if value is not None:
            self._size_bytes -= len(value) + ENTRY_BYTES
