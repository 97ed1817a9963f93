"""What a load test is asked to do."""

import pytest

from fleet.settings import SettingError, load
from loadtest.scale import Stop, options_of, stops
from loadtest.settings import LoadtestSettings


def wanted(*options: str) -> LoadtestSettings:
    return load(LoadtestSettings, {}, options)


def test_sizes_are_put_in_order() -> None:
    """
    Efficiency is against the smallest, so it comes first.
    """
    assert wanted("--workers", "4,1,2").sizes() == (1, 2, 4)


@pytest.mark.parametrize("text", ["0", "two", "1,-2", "1000"])
def test_sizes_that_are_none_are_refused(text: str) -> None:
    """
    With the name of the setting.
    """
    with pytest.raises(SettingError, match="WORKERS"):
        wanted("--workers", text).sizes()


def test_an_unknown_balancer_is_refused() -> None:
    """
    With the ones there are.
    """
    with pytest.raises(SettingError, match="router, nginx"):
        wanted("--balancer", "haproxy").balancers()


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


def test_made_up_words_are_held_against_each_other() -> None:
    """
    The scripted engine cannot know what is said in a clip.
    """
    assert wanted("--model", "fake:0.1").checks() == "same"
    assert wanted().checks() == "known"


def test_the_generator_is_told_the_load_that_was_measured_before() -> None:
    """
    So that the second balancer meets the same calls.
    """
    options = options_of(stops("mixed", wanted())[0], wanted(), 12.5)

    assert options[options.index("--capacity") + 1] == "12.5"


def test_every_size_has_the_same_workers() -> None:
    """
    A single worker with all the cores to itself would not be what the larger fleets are made of.
    """
    assert wanted("--workers", "1,2,256").threads() == 1
    assert wanted("--workers", "1,2", "--threads-per-worker", "3").threads() == 3
