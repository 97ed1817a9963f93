from random import Random

from router.ticket import Ticket


def test_refused_callers_are_sent_back_at_the_rate_the_fleet_drains():
    """
    Each refusal gets a later time, by the work that it would bring.
    """
    ticket = Ticket(Random(1))

    waits = [ticket.refuse(0, room_in_s=10, turn_s=1) for _ in range(20)]

    assert all(1 <= wait <= 60 for wait in waits)
    assert waits[0] >= 11
    assert waits[-1] >= 30
    assert ticket.ahead_s(0) == 30
    assert ticket.ahead_s(100) == 0


def test_no_caller_is_sent_away_for_more_than_a_minute():
    """
    Clients ignore or misread more than 60 seconds.
    """
    ticket = Ticket(Random(1))

    assert 40 <= ticket.refuse(0, room_in_s=10_000, turn_s=1) <= 60
    assert ticket.refuse(50_000, room_in_s=0, turn_s=0) == 1


def test_heads_that_announce_hours_are_forgotten_in_minutes():
    """
    Twenty refused uploads of half a gigabyte that never come back: ten minutes later a caller is told its own wait.
    """
    ticket = Ticket(Random(1))
    for _ in range(20):
        ticket.refuse(0, room_in_s=1, turn_s=3000)

    assert ticket.refuse(650, room_in_s=2, turn_s=0.1) < 3
