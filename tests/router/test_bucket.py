"""However it is asked, a bucket gives no more than it holds and what flowed in since."""

import math

from hypothesis import given
from hypothesis import strategies as st

from router.bucket import Bucket


@given(
    size=st.integers(1, 50),
    per_s=st.floats(0.01, 100),
    gaps=st.lists(st.floats(0, 10), max_size=60),
)
def test_no_stretch_of_time_gives_more_than_size_and_flow(size, per_s, gaps):
    """For any two moments: taken between them <= size + per_s * seconds."""
    bucket, now, taken = Bucket(size, per_s, 0.0), 0.0, []
    for gap in gaps:
        now += gap
        if bucket.wait_s(now) == 0:
            bucket.take(now)
            taken.append(now)
    for first, begin in enumerate(taken):
        for last in range(first, len(taken)):
            assert last - first + 1 <= size + per_s * (taken[last] - begin) + 1e-6


@given(size=st.integers(1, 20), per_s=st.floats(0.01, 100), taken=st.integers(0, 20))
def test_who_waits_as_long_as_told_is_served(size, per_s, taken):
    """And a little earlier is not."""
    bucket = Bucket(size, per_s, 0.0)
    for _ in range(min(taken, size)):
        bucket.take(0.0)
    wait_s = bucket.wait_s(0.0)
    assert bucket.wait_s(wait_s * 1.000001 + 1e-9) == 0
    assert wait_s == 0 or bucket.wait_s(wait_s * 0.9) > 0


def test_a_clock_that_stands_or_goes_back_gives_nothing():
    """Nothing flows in, nothing is lost."""
    bucket = Bucket(1, 1.0, 100.0)
    bucket.take(100.0)
    assert bucket.wait_s(50.0) == 1.0
    assert bucket.wait_s(101.0) == 0


def test_a_new_size_keeps_what_was_taken():
    """Of 10, 8 taken; of 20 then, 8 are still taken; of 4, all."""
    bucket = Bucket(10, 1.0, 0.0)
    for _ in range(8):
        bucket.take(0.0)
    bucket.resize(20, 1.0, 0.0)
    assert bucket.level(0.0) == 12
    bucket.resize(4, 1.0, 0.0)
    assert bucket.level(0.0) == 0


def test_what_never_fills_is_waited_for_for_ever():
    """Infinity, not a division by zero."""
    bucket = Bucket(1, 0.0, 0.0)
    bucket.take(0.0)
    assert bucket.wait_s(10.0) == math.inf
    assert bucket.full_in_s(10.0) == 0
