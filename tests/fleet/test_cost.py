"""Learning what a clip costs."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.cost import PRIORS, SAMPLES, Cost, CostModel, fit, median


def test_prior_until_five_clips():
    """Four clips say too little."""
    model = CostModel()
    for number in range(1, 5):
        model.learn(number, number * 9)
        assert model.cost == PRIORS["cpu"]
    model.learn(5, 45)
    assert model.is_learned
    assert model.cost.rtf == pytest.approx(9)


def test_noisy_line_is_found():
    """Fixed and proportional part from clips of all lengths, a tenth of noise notwithstanding."""
    rng, model = Random(7), CostModel()
    for _ in range(SAMPLES):
        audio_s = rng.uniform(1, 600)
        model.learn(audio_s, (0.5 + 0.05 * audio_s) * rng.uniform(0.95, 1.05))

    assert model.cost.rtf == pytest.approx(0.05, rel=0.1)
    assert model.cost.seconds(600) == pytest.approx(30.5, rel=0.1)


def test_old_clips_are_forgotten():
    """A worker that became slower is seen as slow."""
    model = CostModel()
    for pace in (0.1, 1.0):
        for audio_s in range(1, SAMPLES + 1):
            model.learn(audio_s, pace * audio_s)
    assert model.cost.rtf == pytest.approx(1.0)


@given(st.lists(st.tuples(st.floats(0, 1e5), st.floats(0, 1e5)), min_size=1, max_size=60))
def test_estimate_is_never_negative(seen):
    """Whatever was measured, a clip costs no less than nothing."""
    cost = fit(seen, PRIORS["cpu"])
    assert cost.fixed_s >= 0
    assert cost.rtf > 0


def test_clips_of_one_length():
    """Cannot tell fixed from proportional, and still estimate that length rightly."""
    assert fit([(5.0, 0.5)] * 10, PRIORS["cpu"]).seconds(5) == pytest.approx(0.5)


def test_newcomer_is_taken_for_the_middle():
    """By parts; None where nobody is known."""
    assert median([]) is None
    assert median([Cost(1, 9), Cost(2, 8), Cost(3, 7)]) == Cost(2, 8)
