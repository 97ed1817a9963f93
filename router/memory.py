"""
Keep the memory of one small body for the next.

glibc gives the top of its heap back as soon as a fraction of a megabyte is free there. For bodies of 160 KB that is
after each of them, and the system fills what it hands out again with zeros, page by page: fifteen page faults, 4 % of a
request's processor time.
"""

from fleet import malloc
from router.spool import MEMORY_BYTES_EACH

KEPT_BYTES = 8 << 20  # free at the top of the heap before any of it is given back
OWN_MAPPING_BYTES = 2 * MEMORY_BYTES_EACH  # what is larger gets a mapping of its own, and gives all of it back


def keep_small_blocks() -> None:
    """Call once, at the start; does nothing without glibc."""
    malloc.tune({malloc.M_TRIM_THRESHOLD: KEPT_BYTES, malloc.M_MMAP_THRESHOLD: OWN_MAPPING_BYTES})
