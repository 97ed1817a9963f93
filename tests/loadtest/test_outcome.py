"""The record of a run."""

from collections.abc import Callable

import pytest

from loadtest.outcome import Heading, Outcome, PhaseSpan, read, to_line

HEADING = Heading(scenario="mixed", url="http://127.0.0.1:1", seed=1, mix="short", began_s=5.0)
SPAN = PhaseSpan(
    phase="load 0.50", begin_s=0, end_s=10, clients=0, load=0.5, rate_per_s=5, capacity_per_s=10, is_measured=True
)


def test_what_is_written_is_what_is_read(outcome: Callable[..., Outcome]) -> None:
    """
    Nothing is lost between the generator's process and the report's.
    """
    call = outcome(1.5, queue_ms=12.0, heard="two", said="one")
    record = read([to_line(HEADING), to_line(call), to_line(SPAN)])

    assert (record.heading, record.outcomes, record.phases) == (HEADING, [call], [SPAN])


def test_latency_counts_from_when_a_call_was_due(outcome: Callable[..., Outcome]) -> None:
    """
    A call that could only be sent late was slow for whoever waited for it.
    """
    assert outcome(1.0, 3.0, sent_s=3.9).latency_s == pytest.approx(3.0)


def test_a_record_without_heading_is_refused() -> None:
    """
    A generator that died at once is not a run with no calls.
    """
    with pytest.raises(ValueError, match="no heading"):
        read([])
