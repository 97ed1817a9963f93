"""
A request's body, kept until its answer is on the way: in memory while small, then in an unlinked file.

It can be sent any number of times, which is what makes a retry possible. All bodies together stay within a budget of
bytes in memory and on disk; past it new ones are refused.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from functools import partial
from types import TracebackType
from typing import IO

from fleet.errors import Unavailable
from router.in_thread import in_thread

MEMORY_BYTES_EACH = 1 << 20  # a body up to this size stays in memory
WRITE_BYTES = 1 << 20  # written to disk in pieces of this size, in a thread
READ_BYTES = 256 * 1024


class SpoolBudget:
    """Bytes that all bodies may take, and take now."""

    def __init__(self, *, memory_bytes: int, disk_bytes: int, folder: str | None = None) -> None:
        self.memory_limit = memory_bytes
        self.disk_limit = disk_bytes
        self.folder = folder
        self.memory_bytes = 0
        self.disk_bytes = 0

    def __repr__(self) -> str:
        return f"<Spool {self.memory_bytes} B in memory, {self.disk_bytes} B on disk>"

    def has_room(self, size_bytes: int) -> bool:
        """Whether a body of this size would fit now."""
        in_memory = size_bytes <= MEMORY_BYTES_EACH and self.memory_bytes + size_bytes <= self.memory_limit
        return in_memory or self.disk_bytes + size_bytes <= self.disk_limit


class Spool:
    """One body: `async with Spool(budget) as spool`, write, `seal`, then read as often as needed."""

    def __init__(self, budget: SpoolBudget) -> None:
        self._budget = budget
        self._pending: list[bytes] = []  # not sealed, not on disk
        self._pending_bytes = 0
        self._file: IO[bytes] | None = None
        self._charged_memory = 0
        self._charged_disk = 0
        self.size_bytes = 0
        self.in_memory: bytes | None = None  # the whole body, once sealed, if it is small

    async def __aenter__(self) -> Spool:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.close()

    async def write(self, chunk: bytes) -> None:
        """Append bytes; raises Unavailable (`storage_unavailable`) when the budget or the disk is full."""
        self.size_bytes += len(chunk)
        self._pending.append(chunk)
        self._pending_bytes += len(chunk)
        self._charge_memory(len(chunk))
        is_on_disk = self._file is not None
        is_too_much = self._pending_bytes > MEMORY_BYTES_EACH or self._budget.memory_bytes > self._budget.memory_limit
        if self._pending_bytes >= WRITE_BYTES if is_on_disk else is_too_much:
            await self._flush()

    async def seal(self) -> None:
        """The body is complete: all of it in memory, or all on disk."""
        if self._file is None:
            self.in_memory, self._pending = b"".join(self._pending), []
        elif self._pending:
            await self._flush()

    async def chunks(self) -> AsyncIterator[bytes]:
        """The sealed body from its start, in pieces."""
        if self.in_memory is not None:
            yield self.in_memory
            return
        pieces = self.pieces()
        while chunk := await asyncio.to_thread(next, pieces, b""):
            yield chunk

    def pieces(self) -> Iterator[bytes]:
        """The same for a thread that may block."""
        if self.in_memory is not None:
            yield self.in_memory
            return
        offset = 0
        while piece := self._read_at(offset):
            offset += len(piece)
            yield piece

    def close(self) -> None:
        """Free memory and disk; twice does no harm."""
        self._charge_memory(-self._charged_memory)
        self._budget.disk_bytes -= self._charged_disk
        self._charged_disk = 0
        self._pending, self.in_memory = [], None
        if self._file is not None:
            self._file.close()

    async def _flush(self) -> None:
        pending, size_bytes = self._pending, self._pending_bytes
        self._pending, self._pending_bytes = [], 0
        self._charge_memory(-self._charged_memory)
        if self._budget.disk_bytes + size_bytes > self._budget.disk_limit:
            raise Unavailable("The spool for uploads is full.", code="storage_unavailable", retry_after_s=5)
        self._budget.disk_bytes += size_bytes
        self._charged_disk += size_bytes
        try:
            await in_thread(partial(self._append, pending))
        except OSError as error:
            message = "The upload could not be stored."
            raise Unavailable(message, code="storage_unavailable", retry_after_s=5) from error

    def _append(self, pending: list[bytes]) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile(dir=self._budget.folder)  # noqa: SIM115  closed in close()
        self._file.writelines(pending)
        self._file.flush()

    def _read_at(self, offset: int) -> bytes:
        return os.pread(self._file.fileno(), READ_BYTES, offset) if self._file else b""

    def _charge_memory(self, change: int) -> None:
        self._charged_memory += change
        self._budget.memory_bytes += change
