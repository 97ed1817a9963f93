"""Seats: a limit, and counts that no error can leak."""

import pytest

from fleet.errors import Unavailable
from router.realtime.seats import Seats


def test_a_limit_is_a_limit():
    """One more is refused at once with a time to come back, and a seat that is left can be had."""
    seats = Seats(2)
    with seats.take(), seats.take():
        with pytest.raises(Unavailable, match="2 live sessions") as refused, seats.take():
            pass
        assert refused.value.retry_after_s == 5
    with seats.take():
        assert repr(seats) == "<Seats 1/2 taken>"
    assert (seats.to_json()["opened"], seats.to_json()["refused"]) == (3, 1)


def test_a_session_that_breaks_gives_its_seat_back_and_its_audio_stays_counted():
    """The open sessions' audio goes with them; the total only grows."""
    seats = Seats(1)
    with pytest.raises(KeyError), seats.take() as seat:
        seat.audio_s = 3
        assert (seats.to_json()["audio_s"], seats.to_json()["audio_s_total"]) == (3, 3)
        raise KeyError
    assert len(seats) == 0
    assert (seats.to_json()["audio_s"], seats.to_json()["audio_s_total"]) == (0, 3)


def test_series_have_labels_from_a_closed_set():
    """Whatever callers send: two outcomes, and nothing else."""
    seats = Seats(0)
    with pytest.raises(Unavailable), seats.take():
        pass
    labels = {(sample.name, *sample.labels.values()) for family in seats.collect() for sample in family.samples}
    assert labels == {
        ("stt_router_realtime_sessions",),
        ("stt_router_realtime_sessions_limit",),
        ("stt_router_realtime_handshakes_total", "opened"),
        ("stt_router_realtime_handshakes_total", "refused"),
        ("stt_router_realtime_audio_seconds_total",),
    }
