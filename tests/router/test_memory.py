"""The memory of small bodies stays."""

import ctypes
import subprocess
import sys

import pytest

CODE = """
import resource
from router.memory import keep_small_blocks
if {is_kept}:
    keep_small_blocks()

def body():
    return [bytes(160_000) for _ in range(8)]

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

body()
before = faults()
for _ in range(100):
    body()
print(faults() - before)
"""


def faults(*, is_kept):
    """Page faults of a hundred times eight bodies, in a process of its own: the setting stays for ever."""
    done = subprocess.run(
        [sys.executable, "-c", CODE.format(is_kept=is_kept)], capture_output=True, text=True, check=True, timeout=60
    )
    return int(done.stdout)


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="glibc's malloc only")
def test_bodies_come_and_go_without_page_faults():
    """Given back and taken again, as it is by default, every body costs its pages each time."""
    assert faults(is_kept=True) < 100 < faults(is_kept=False)
