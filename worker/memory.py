"""
Keep a model call's memory for the next one, give it back when nobody calls, and end in time where that does not help.

A call of a Whisper model allocates and frees blocks of tens of megabytes. glibc maps each afresh, and the system fills
it with zeros page by page: a fifth of the time of a `tiny` on one core. Kept in one heap they cost nothing, but a long
clip would leave the process large for ever; so the heap is trimmed once the worker was idle for a while.
"""

import asyncio
import ctypes
import logging
import signal
from collections.abc import Callable

import psutil

from fleet import malloc
from fleet.serve import StartupError

NEVER = (1 << 31) - 1
LOOK_S = 1.0
IDLE_LOOKS = 3  # in a row: between two calls there is no point in giving back
IDLE_GROWTH_BYTES, BUSY_GROWTH_BYTES = 8_000_000, 250_000_000  # since the last trim; less is not worth 10 ms
OVER_LOOKS = 5  # in a row: a long clip may pass through

logger = logging.getLogger(__name__)


def keep_blocks() -> None:
    """One heap, and freed blocks stay in it. Call once, before any thread starts; does nothing without glibc."""
    malloc.tune({malloc.M_ARENA_MAX: 1, malloc.M_MMAP_MAX: 0, malloc.M_TRIM_THRESHOLD: NEVER})


def trim() -> None:
    """Give back what is free; 1 to 10 ms, in which no other thread can allocate. Does nothing without glibc."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, AttributeError):
        return


def resident() -> int:
    """Bytes that this process holds in memory."""
    return int(psutil.Process().memory_info().rss)


async def give_back(
    is_idle: Callable[[], bool],
    *,
    look_s: float = LOOK_S,
    rss: Callable[[], int] = resident,
    trim: Callable[[], None] = trim,
) -> None:
    """Trim for ever: when nobody has called for a while, and among calls when a lot has piled up."""
    floor, idle_looks = 0, 0
    while True:
        await asyncio.sleep(look_s)
        idle_looks = idle_looks + 1 if is_idle() else 0
        floor = min(floor, size := rss())
        if size - floor > (IDLE_GROWTH_BYTES if idle_looks >= IDLE_LOOKS else BUSY_GROWTH_BYTES):
            await asyncio.to_thread(trim)
            floor = rss()


async def watch(
    limit_bytes: float,
    is_fresh: Callable[[], bool] = lambda: False,
    *,
    look_s: float = LOOK_S,
    rss: Callable[[], int] = resident,
) -> None:
    """
    Return at once where there is no limit (0); else ask this process to end, as an operator would, when it stays above.

    What is in flight is finished, and the exit code is 0: whoever keeps the worker running starts a fresh one. One that
    is too large while `is_fresh`, before any request, would be so again and for ever: raises StartupError.
    """
    over = 0
    while limit_bytes and over < OVER_LOOKS:
        await asyncio.sleep(look_s)
        over = over + 1 if rss() > limit_bytes else 0
    if limit_bytes and is_fresh():
        raise StartupError(f"the worker takes {rss() / 1e6:.0f} MB before any request, more than MAX_RSS_MB")
    if limit_bytes:
        logger.warning("above MAX_RSS_MB: draining, to be started afresh", extra={"rss_mb": round(rss() / 1e6)})
        signal.raise_signal(signal.SIGTERM)
