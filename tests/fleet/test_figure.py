"""Numbers as people read them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.figure import figure


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.602, "0.602"),
        (0.6, "0.600"),
        (0.0123, "0.0123"),
        (1, "1.00"),
        (18, "18.0"),
        (99.96, "100"),
        (847.4, "847"),
        (999.7, "1000"),
        (12345.6, "12346"),
        (-0.756, "-0.756"),
        (0, "0"),
        (0.0, "0"),
    ],
)
def test_three_digits_always(value, shown):
    """Zeros at the end included, so that figures of a kind have one length; whole numbers from 100 on."""
    assert figure(value) == shown


@given(st.floats(1e-4, 1e9))
def test_what_is_shown_is_near_what_it_is(value):
    """Within half of the third digit, as plain digits that a program can read."""
    assert math.isclose(float(figure(value)), value, rel_tol=0.005)
    assert "e" not in figure(value)
