"""Bars from the simulator's figures."""

from bench.order import bars

WAITS = {
    "round robin": {"short_p95": 40.0, "long_p95": 50.0},
    "least connections": {"short_p95": 12.0, "long_p95": 30.0},
    "central FIFO": {"short_p95": 20.0, "long_p95": 20.0},
    "whisper-fleet": {"short_p95": 3.0, "long_p95": 26.0},
}


def test_the_better_of_the_others_is_the_measure():
    """Short clips' gain is against the best of the others, long ones' loss against who looks at no size."""
    short, long = bars("0.7", WAITS)
    assert short.measured == 4.0
    assert not short.is_met()
    assert long.measured == 1.3
    assert long.is_met()
