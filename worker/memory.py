"""
Give memory back, and end in time where that does not help: after a long clip a worker is as small as it was before.

glibc keeps freed memory for itself: an arena for each thread, and, after the first large free, blocks of up to 32 MB
that it then no longer maps one by one. Fixed limits undo both.
"""

import asyncio
import ctypes
import logging
import signal
from collections.abc import Callable

import psutil

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8  # <malloc.h>
LARGE_BYTES = 1 << 20  # every block from this size on is its own mapping, and gone when it is freed
ARENAS = 2
LOOK_S = 1.0
OVER_LOOKS = 5  # in a row: a long clip may pass through

logger = logging.getLogger(__name__)


def keep_small() -> None:
    """Call once, before any thread starts; does nothing where the C library is another one."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    for name, value in ((M_MMAP_THRESHOLD, LARGE_BYTES), (M_TRIM_THRESHOLD, LARGE_BYTES), (M_ARENA_MAX, ARENAS)):
        mallopt(name, value)


async def watch(
    limit_bytes: float,
    *,
    look_s: float = LOOK_S,
    rss: Callable[[], int] = lambda: int(psutil.Process().memory_info().rss),
) -> None:
    """
    Return at once where there is no limit (0); else ask this process to end, as an operator would, when it stays above.

    What is in flight is finished, and the exit code is 0: whoever keeps the worker running starts a fresh one.
    """
    over = 0
    while limit_bytes and over < OVER_LOOKS:
        await asyncio.sleep(look_s)
        over = over + 1 if rss() > limit_bytes else 0
    if limit_bytes:
        logger.warning("above MAX_RSS_MB: draining, to be started afresh", extra={"rss_mb": round(rss() / 1e6)})
        signal.raise_signal(signal.SIGTERM)
