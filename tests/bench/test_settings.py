"""How long, what, where to."""

import pytest

from bench.__main__ import STEPS, chosen
from bench.settings import MEASURES, BenchSettings
from fleet.settings import SettingError


def test_quick_is_short_and_writes_nothing():
    """Unless a file is named."""
    quick = BenchSettings(quick=True)
    assert (quick.turns, quick.file) == (1, None)
    assert quick.turn_s < BenchSettings().turn_s
    assert BenchSettings().file == "BENCHMARKS.md"
    assert BenchSettings(quick=True, out="x.md").file == "x.md"


def test_every_measure_has_its_step():
    """The list in the help is the list of what there is."""
    assert tuple(STEPS) == MEASURES
    assert chosen(BenchSettings()) == list(MEASURES)


def test_a_measure_that_is_not_known_is_a_setting_error():
    """The sentence names those that are."""
    with pytest.raises(SettingError, match="overhead"):
        chosen(BenchSettings(only=("speed",)))


def test_only_what_is_asked_for():
    """In the order of the list."""
    assert chosen(BenchSettings(only=("crowd", "overhead"))) == ["overhead", "crowd"]
