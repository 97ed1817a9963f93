"""What is required and what was measured."""

import pytest

from bench.bars import Bar, percentile, ratio, spread


def test_a_bar_is_met_on_its_side_of_the_limit():
    """Both kinds of limit, and none."""
    assert Bar(what="", measured=0.95, at_least=0.95).is_met()
    assert not Bar(what="", measured=0.94, at_least=0.95).is_met()
    assert Bar(what="", measured=1.5, at_most=1.5).is_met()
    assert not Bar(what="", measured=1.51, at_most=1.5).is_met()
    assert Bar(what="", measured=0).is_met()


def test_slack_widens_the_limit():
    """A quick run tells broken from working, not 0.9 from 1."""
    assert Bar(what="", measured=0.5, at_least=0.95).is_met(2)
    assert not Bar(what="", measured=0.4, at_least=0.95).is_met(2)
    assert Bar(what="", measured=2.9, at_most=1.5).is_met(2)


def test_a_ratio_is_taken_turn_by_turn():
    """A turn in which the whole machine was slow does not count for one side only."""
    assert ratio([10, 5, 10], [5, 2.5, 5]) == 2


def test_percentiles_are_values_that_occurred():
    """By the nearest rank; of nothing there is none."""
    assert percentile([3, 1, 2], 0.5) == 2
    assert percentile([1, 2, 3], 0.99) == 3
    assert percentile([1, 2], 0.5) == 1
    assert [percentile(range(1, 101), share) for share in (0.25, 0.95, 0.99, 1)] == [25, 95, 99, 100]
    with pytest.raises(ValueError, match="nothing"):
        percentile([], 0.5)


def test_how_figures_are_written():
    """Limits with their side and unit, turns with their spread."""
    bar = Bar(what="", measured=1.234, at_most=1.5, unit="ms")
    assert (bar.required, bar.shown) == ("<= 1.5 ms", "1.23 ms")
    assert spread([2.0, 1.0, 3.0]) == "2.00 (1.00 .. 3.00)"
    assert spread([2.0]) == "2.00"
