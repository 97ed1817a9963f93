"""Answers in a folder of this machine, by diskcache: they outlive the router, and routers of one machine share them."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import diskcache

from router.cache.store import Size, StoreFailed

BUSY_S = 1  # another router that writes has the lock for milliseconds
INLINE_BYTES = 64 * 1024  # larger answers become files

Result = TypeVar("Result")


class PlainBytes(diskcache.Disk):  # type: ignore[misc]  # diskcache has no types
    """Reads bytes and nothing else: diskcache would also unpickle whatever somebody else wrote into the folder."""

    def fetch(self, mode: int, filename: str | None, value: Any, read: bool) -> Any:
        """The bytes; raises StoreFailed for what we did not write."""
        if mode not in (diskcache.core.MODE_RAW, diskcache.core.MODE_BINARY):
            raise StoreFailed("an entry is not ours")
        return super().fetch(mode, filename, value, read)

    def get(self, key: Any, raw: bool) -> Any:
        """The key as it was put."""
        if not raw:
            raise StoreFailed("a key is not ours")
        return super().get(key, raw)


class DiskStore:
    """
    Every call is made in one thread of its own: files are slow, and the event loop is everybody's.

    Raises OSError where the folder cannot be made or written.
    """

    kind = "disk"

    def __init__(self, folder: Path, *, max_bytes: int, ttl_s: float) -> None:
        self._ttl_s = ttl_s
        self._threads = ThreadPoolExecutor(1, "cache")
        self._kept = self._threads.submit(_opened, folder, max_bytes).result()  # a connection belongs to its thread

    async def get(self, key: str) -> bytes | None:
        """What was put there."""
        value = await self._call(lambda: self._kept.get(key))
        if value is not None and not isinstance(value, bytes):
            raise StoreFailed("an entry is not ours")
        return value

    async def put(self, key: str, value: bytes) -> None:
        """Keep it."""
        if len(value) <= self._kept.size_limit:
            await self._call(lambda: self._kept.set(key, value, expire=self._ttl_s))

    async def clear(self) -> None:
        """Forget everything."""
        await self._call(self._kept.clear)

    async def sweep(self) -> None:
        """Delete what is past its time, and what is past the limit."""
        await self._call(self._kept.expire)
        await self._call(self._kept.cull)

    async def size(self) -> Size:
        """Entries, and bytes on disk with the index."""
        return Size(*await self._call(lambda: (len(self._kept), self._kept.volume())))

    async def close(self) -> None:
        """Close the index; the answers stay until their time is over."""
        await self._call(self._kept.close)
        self._threads.shutdown(wait=False)

    async def _call(self, act: Callable[[], Result]) -> Result:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, act)
        except (OSError, sqlite3.Error, diskcache.Timeout) as error:
            raise StoreFailed(f"{type(error).__name__}") from error


def _opened(folder: Path, max_bytes: int) -> Any:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # transcripts are nobody else's
    return diskcache.Cache(
        str(folder),
        disk=PlainBytes,
        disk_min_file_size=INLINE_BYTES,
        eviction_policy="least-recently-used",
        size_limit=max_bytes,
        timeout=BUSY_S,
        sqlite_secure_delete=1,  # what is deleted is overwritten
    )
