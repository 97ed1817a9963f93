"""Settings of glibc's allocator, for the processes that know what they allocate."""

import ctypes
from collections.abc import Mapping

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX = -1, -3, -4, -8  # <malloc.h>


def tune(options: Mapping[int, int]) -> None:
    """Set them for the life of this process, before any thread starts; does nothing without glibc."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    for name, value in options.items():
        mallopt(name, value)
