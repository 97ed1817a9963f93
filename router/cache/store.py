"""Where answers lie: the contract that memory, disk and Redis keep alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class StoreFailed(Exception):
    """The store could not do it; what it holds is as before or gone."""


@dataclass(frozen=True, slots=True)
class Size:
    """What a store holds; None where counting would cost a walk through all of it."""

    entries: int | None
    size_bytes: int | None


class Store(Protocol):
    """
    Bytes by key, for a limited time.

    Any call may raise StoreFailed, and none needs to be finished: a caller may stop waiting at any point.
    """

    kind: str

    async def get(self, key: str) -> bytes | None:
        """What was put there, while its time lasts."""

    async def put(self, key: str, value: bytes) -> None:
        """Keep it, in place of what was there; what does not fit makes the least used go, or is not kept itself."""

    async def clear(self) -> None:
        """Forget everything."""

    async def sweep(self) -> None:
        """Delete what is past its time: it is never given out, and must not lie about either."""

    async def size(self) -> Size:
        """What it holds now."""

    async def close(self) -> None:
        """Let go of files and connections; what is kept beyond this process stays."""
