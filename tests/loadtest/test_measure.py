"""Outcomes -> figures."""

from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.arrivals import poisson
from loadtest.measure import Point, efficiency, figures, knee, over_time, percentile
from loadtest.outcome import Ending, Outcome, PhaseSpan

OPEN = PhaseSpan(
    phase="load 0.50", begin_s=0, end_s=10, clients=0, load=0.5, rate_per_s=5, capacity_per_s=10, is_measured=True
)
CLOSED = PhaseSpan(
    phase="load 0.50", begin_s=2, end_s=10, clients=4, load=0, rate_per_s=0, capacity_per_s=10, is_measured=True
)


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0.01, 1))
def test_a_percentile_is_one_of_the_values_and_covers_its_share(values: list[float], share: float) -> None:
    """
    Nearest rank: no value is made up, and at least the share lies at or below it.
    """
    found = percentile(values, share)

    assert found in values
    assert sum(value <= found for value in values) >= share * len(values) - 1e-9


def test_of_a_hundred_values_the_99th_is_p99() -> None:
    """
    The textbook case.
    """
    assert percentile([float(n) for n in range(1, 101)], 0.99) == 99


def test_a_stall_of_two_seconds_shows_in_p99(outcome: Callable[..., Outcome]) -> None:
    """
    Ten seconds at 10 calls/s, and nobody answered between seconds 4 and 6: whoever was due then waited.
    """
    due = list(poisson(10, 10, Random(1)))
    calls = [outcome(at, (6 - at if 4 <= at < 6 else 0) + 0.02) for at in due]
    found = figures(OPEN, calls)

    assert found.latency_s.p50 == pytest.approx(0.02)
    assert found.latency_s.p95 is not None and found.latency_s.p95 > 1
    assert found.latency_s.p99 is not None and found.latency_s.p99 > 1.7


def test_a_call_that_hangs_past_a_closed_phase_is_an_error_of_it(outcome: Callable[..., Outcome]) -> None:
    """
    It fails when its patience ends, which is after the window; answers after it are nobody's, as before.
    """
    calls = [outcome(5), outcome(9.95), outcome(9, 120, ending=Ending.ERROR, why="timeout")]
    found = figures(CLOSED, calls)

    assert (found.calls, found.error_share, found.whys) == (2, 0.5, {"timeout": 1})


def test_goodput_stands_apart_from_what_was_shed(outcome: Callable[..., Outcome]) -> None:
    """
    Thirty calls/s, ten answered, twenty refused in 5 ms: the quick refusals make neither latency nor rate look good.
    """
    calls = [outcome(n / 30, 0.4) for n in range(0, 300, 3)]
    calls += [outcome(n / 30, 0.005, ending=Ending.SHED, why="503 overloaded") for n in range(300) if n % 3]
    found = figures(OPEN, calls)

    assert found.offered_per_s == pytest.approx(30)
    assert found.goodput_per_s == found.answered_per_s == pytest.approx(10)
    assert found.shed_share == pytest.approx(2 / 3)
    assert found.latency_s.p50 == pytest.approx(0.4)
    assert (found.error_share, found.whys) == (0, {"503 overloaded": 200})


def test_a_fast_wrong_answer_is_no_good_answer(outcome: Callable[..., Outcome]) -> None:
    """
    One word of five misheard: answered, but not goodput.
    """
    calls = [outcome(1), outcome(2, said="a b c d e", heard="a b x d e")]
    found = figures(OPEN, calls)

    assert (found.answered_per_s, found.goodput_per_s) == (0.2, 0.1)
    assert (found.wrong_share, found.word_error_rate) == (0.5, 0.1)


def test_one_word_of_a_long_clip_is_within_what_models_mishear(outcome: Callable[..., Outcome]) -> None:
    """
    One in a hundred counts in the word error rate, not as a wrong answer.
    """
    said = " ".join(["one"] * 100)
    found = figures(OPEN, [outcome(1, words=100, said=said, heard=said.replace("one", "two", 1))])

    assert (found.wrong_share, found.word_error_rate) == (0, 0.01)


def test_a_closed_loop_counts_what_ended_in_its_window(outcome: Callable[..., Outcome]) -> None:
    """
    What was still ramping up, and what was answered after the end, is left out.
    """
    found = figures(CLOSED, [outcome(1, 0.5), outcome(3, 0.5), outcome(9.9, 0.5)])

    assert (found.calls, found.goodput_per_s) == (1, 0.125)


def test_an_open_loop_counts_everything_that_was_due(outcome: Callable[..., Outcome]) -> None:
    """
    An answer long after the phase is a slow answer, not somebody else's.
    """
    assert figures(OPEN, [outcome(9.9, 30)]).latency_s.most == pytest.approx(30)


def test_seconds_in_which_nothing_ended_are_shown(outcome: Callable[..., Outcome]) -> None:
    """
    A gap is a gap on the time axis.
    """
    slices = over_time([outcome(0), outcome(3), outcome(3, ending=Ending.ERROR)])

    assert [(each.right, each.errors) for each in slices] == [(1, 0), (0, 0), (0, 0), (1, 1)]


def test_a_long_run_is_cut_into_longer_slices(outcome: Callable[..., Outcome]) -> None:
    """
    Ten minutes are sixty slices of ten seconds, and no call is lost.
    """
    slices = over_time([outcome(at) for at in range(599)])

    assert {each.length_s for each in slices} == {10}
    assert sum(each.right for each in slices) == 599


def test_the_knee_of_a_queue_is_before_its_wall() -> None:
    """
    For latency 1/(1-load) the tangent from the origin touches at half load.
    """
    ladder = [Point(load / 10, 1 / (1 - load / 10)) for load in range(1, 10)]
    found = knee(ladder)

    assert found is not None
    assert found.rate_per_s == 0.5
    assert knee([]) is None


def test_efficiency_is_against_the_smallest_fleet() -> None:
    """
    Worker for worker, whatever size was measured first.
    """
    assert efficiency({2: 10.0, 4: 18.0}) == {2: 1.0, 4: 0.9}
    assert efficiency({}) == {}
