"""What a load test is asked to do."""

import pytest

from fleet.settings import SettingError, load
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


def test_made_up_words_are_held_against_each_other() -> None:
    """
    The scripted engine cannot know what is said in a clip.
    """
    assert wanted("--model", "fake:0.1").checks() == "same"
    assert wanted().checks() == "known"


def test_every_size_has_the_same_workers() -> None:
    """
    A single worker with all the cores to itself would not be what the larger fleets are made of.
    """
    assert wanted("--workers", "1,2,256").threads() == 1
    assert wanted("--workers", "1,2", "--threads-per-worker", "3").threads() == 3
