"""The scenarios as plans."""

import pytest

from loadtest.scenarios import OVERLOAD, SCENARIOS, Scale

SCALE = Scale(step_s=5, soak_s=100, clients=4)


@pytest.mark.parametrize("name", SCENARIOS)
def test_capacity_is_measured_before_any_load_is_a_share_of_it(name: str) -> None:
    """
    No open phase comes before the one that measures what full load is.
    """
    phases = SCENARIOS[name](SCALE)
    measured_at = next(index for index, phase in enumerate(phases) if phase.sets_capacity)

    assert all(not phase.load for phase in phases[:measured_at])


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_phase_is_either_a_closed_loop_or_an_open_one(name: str) -> None:
    """
    And has a name of its own, by which its calls are told apart.
    """
    phases = SCENARIOS[name](SCALE)

    assert all(bool(phase.clients) != bool(phase.load) for phase in phases)
    assert len({phase.name for phase in phases}) == len(phases)


def test_overload_does_not_wait_for_the_backlog_to_clear() -> None:
    """
    What comes after the overload is called while its queue is still there: that is the recovery to be seen.
    """
    before, over, after = SCENARIOS["overload"](SCALE)[2:]

    assert (over.load, before.settles, over.settles, after.settles) == (OVERLOAD, False, False, True)
