"""
Give memory back: after a long clip a worker is as small as it was before.

glibc keeps freed memory for itself: an arena for each thread, and, after the first large free, blocks of up to 32 MB
that it then no longer maps one by one. Fixed limits undo both.
"""

import ctypes

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8  # <malloc.h>
LARGE_BYTES = 1 << 20  # every block from this size on is its own mapping, and gone when it is freed
ARENAS = 2


def keep_small() -> None:
    """Call once, before any thread starts; does nothing where the C library is another one."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    for name, value in ((M_MMAP_THRESHOLD, LARGE_BYTES), (M_TRIM_THRESHOLD, LARGE_BYTES), (M_ARENA_MAX, ARENAS)):
        mallopt(name, value)
