"""A call that blocks, in a thread, seen to its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TypeVar

Result = TypeVar("Result")


async def in_thread(call: Callable[[], Result], threads: Executor | None = None) -> Result:
    """
    What the call returns or raises; in the loop's own threads unless others are named.

    A thread cannot be cancelled, so whoever is cancelled here still waits: what it lent to the call stays as it is.
    """
    running = asyncio.get_running_loop().run_in_executor(threads, call)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait({running})
        if not running.cancelled():
            running.exception()  # seen, so that nobody complains of it
        raise
