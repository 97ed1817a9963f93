"""Open-loop arrivals."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from loadtest.arrivals import poisson


@given(st.floats(0.1, 50), st.floats(0.1, 60), st.integers())
def test_arrivals_rise_and_end_with_the_phase(rate_per_s: float, length_s: float, seed: int) -> None:
    """
    Calls are due in order, and none after the phase.
    """
    due = list(poisson(rate_per_s, length_s, Random(seed)))

    assert due == sorted(due)
    assert all(0 <= at < length_s for at in due)


def test_the_rate_is_kept_on_average() -> None:
    """
    A thousand seconds at 5 calls/s bring 5000 calls, give or take four standard deviations.
    """
    assert abs(len(list(poisson(5, 1000, Random(7)))) - 5000) < 4 * 5000**0.5


def test_the_same_seed_plans_the_same_calls() -> None:
    """
    A run can be repeated.
    """
    assert list(poisson(3, 20, Random(4))) == list(poisson(3, 20, Random(4)))


def test_no_rate_no_calls() -> None:
    """
    A capacity that was measured as zero asks for nothing, rather than for ever.
    """
    assert list(poisson(0, 20, Random(1))) == []
