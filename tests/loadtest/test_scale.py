"""The tour over fleet sizes and balancers."""

from fleet.settings import load
from loadtest.scale import Stop, options_of, stops
from loadtest.settings import LoadtestSettings


def wanted(*options: str) -> LoadtestSettings:
    return load(LoadtestSettings, {}, options)


def test_scaling_goes_through_every_size_and_both_balancers() -> None:
    """
    Behind each balancer in turn, so that they meet the machine in the same mood.
    """
    tour = stops("scaling", wanted("--workers", "1,2", "--balancer", "router,nginx"))

    assert [(stop.workers, stop.balancer) for stop in tour] == [
        (1, "router"),
        (1, "nginx"),
        (2, "router"),
        (2, "nginx"),
    ]


def test_other_scenarios_take_the_largest_fleet_and_single_the_smallest() -> None:
    """
    One worker's knee; everything else on all of them.
    """
    given = wanted("--workers", "1,2,4")

    assert [stop.workers for stop in stops("mixed", given)] == [4]
    assert [stop.workers for stop in stops("single", given)] == [1]


def test_a_url_is_taken_as_it_is() -> None:
    """
    Nothing is started, and nothing is said of its size.
    """
    assert stops("mixed", wanted("--url", "http://127.0.0.1:1")) == [
        Stop(scenario="mixed", workers=1, balancer="", model="")
    ]


def test_the_generator_is_told_the_load_that_was_measured_before() -> None:
    """
    So that the second balancer meets the same calls.
    """
    options = options_of(stops("mixed", wanted())[0], wanted(), 12.5)

    assert options[options.index("--capacity") + 1] == "12.5"
