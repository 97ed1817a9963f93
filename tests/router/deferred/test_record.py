"""A job's place in the queue."""

from router.deferred.record import JobState, position


def test_position_counts_turns():
    """Alone: those ahead. Beside others: of each as many as go first."""
    assert position(0, []) == 1
    assert position(4, []) == 5
    assert position(0, [100]) == 2
    assert position(2, [100, 1]) == 2 + 3 + 1 + 1


def test_final_states():
    """Three of five."""
    assert [state.value for state in JobState if state.is_final] == ["succeeded", "failed", "cancelled"]
