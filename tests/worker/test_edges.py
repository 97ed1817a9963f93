"""Bare speech fitted to what can be heard."""

import numpy as np

from worker import edges
from worker.window import RATE, Region, Samples


def clip(loud_from_s: float, loud_to_s: float, seconds: float = 3.0) -> Samples:
    samples = np.random.default_rng(0).normal(0, 0.001, round(seconds * RATE)).astype(np.float32)
    samples[round(loud_from_s * RATE) : round(loud_to_s * RATE)] *= 100
    return samples


def region(start: float, end: float, speech_start: float, speech_end: float) -> Region:
    return Region(*(round(at * RATE) for at in (start, end, speech_start, speech_end)))


def test_edges_move_out_to_what_can_be_heard():
    """Voice activity was late by 0.1 s and left as early."""
    fitted = edges.fitted([region(0.8, 2.2, 1.0, 2.0)], clip(0.9, 2.1))[0]
    assert abs(fitted.speech_start / RATE - 0.9) <= 0.02
    assert abs(fitted.speech_end / RATE - 2.1) <= 0.02


def test_edges_stay_within_the_padding_and_never_move_in():
    """The window is what the model hears; noise beyond it is not this region's."""
    loud = edges.fitted([region(0.8, 2.2, 1.0, 2.0)], clip(0, 3))[0]
    assert (loud.start, loud.end) == (round(0.8 * RATE), round(2.2 * RATE))
    assert loud.start <= loud.speech_start <= round(1.0 * RATE)
    assert round(2.0 * RATE) <= loud.speech_end <= loud.end
    quiet = region(0.8, 2.2, 1.0, 2.0)
    assert edges.fitted([quiet], clip(1.2, 1.8))[0] == quiet


def test_regions_shorter_than_a_frame_are_left_alone():
    """Nothing to measure, nothing to move."""
    tiny = Region(0, 10, 2, 8)
    assert edges.fitted([tiny], clip(0, 3)) == [tiny]
