"""Times: inside the clip, in order, never backwards."""

import numpy as np

from fleet.wire import Word
from worker.segments import clamped, ordered, resume_at, whole
from worker.window import RATE, Region, Window

SPEECH = Window(RATE, 5 * RATE, (Region(RATE, 5 * RATE, int(1.2 * RATE), int(4.5 * RATE)),))


class Found:
    tokens, text = (1, 2), " hello"


def test_a_whole_windows_segment_has_the_times_of_its_speech():
    """Padding is for the model, not for the caller."""
    draft = whole(SPEECH, Found())

    assert (draft.start, draft.end, draft.seek) == (1.2, 4.5, 100)


def test_words_stay_inside_their_segment_and_in_order():
    """Whatever the alignment said."""
    words = [Word(" a", -1.0, 2.0, 1.0), Word(" b", 1.0, 1.5, 1.0), Word(" c", 9.0, 12.0, 1.0)]

    line = list(ordered(words, 1.0, 4.0))

    times = [(word.start, word.end) for word in line]
    assert times[0][0] == 1.0
    assert times[-1][1] == 4.0
    assert times == sorted(times)
    assert all(start <= end for start, end in times)


def test_words_never_leave_the_clip():
    """Times past the end are the end."""
    words = clamped([Word(" a", 0.5, 1.0, 1.0), Word(" b", 0.8, 99.0, 1.0)], clip_s=2.0)

    assert [(word.start, word.end) for word in words] == [(0.5, 1.0), (1.0, 2.0)]


def test_the_model_is_asked_again_only_for_speech_that_it_left_and_always_further_on():
    """A model that does not move must not be asked for ever."""
    assert resume_at(SPEECH, 300) == 3 * RATE
    assert resume_at(SPEECH, 100) is None  # no step forward
    assert resume_at(SPEECH, 448) is None  # a tenth of a second is left
    assert resume_at(SPEECH, 9_000) is None  # past the window
    assert np.isscalar(resume_at(SPEECH, 300))
