"""Times: inside the clip, in order, never backwards."""

from dataclasses import replace

import numpy as np
import pytest

from fleet.wire import Segment, Transcript, Word
from worker.fallback import Attempt
from worker.segments import Draft, clamped, finished, following, resume_at, whole
from worker.window import RATE, DecodeOptions, Piece, Region, Window

SPEECH = Window(RATE, 5 * RATE, (Region(RATE, 5 * RATE, int(1.2 * RATE), int(4.5 * RATE)),))


class Found:
    tokens, text = (1, 2), " hello"


def test_a_whole_windows_segment_has_the_times_of_its_speech():
    """Padding is for the model, not for the caller."""
    draft = whole(SPEECH, Found())

    assert (draft.start, draft.end, draft.seek) == (1.2, 4.5, 100)


def made(start: float, end: float, words: list[tuple[float, float]], window: Window = SPEECH, **options):
    """A segment of a clip of a minute, as the engine finishes it."""
    options = DecodeOptions(wants_words=True, **options)
    draft = Draft(0, start, end, (1,), " text", tuple(Word(" w", *times, 1.0) for times in words))
    attempt = Attempt(tokens=(1,), text=" text", temperature=0, avg_logprob=0, no_speech_prob=0)
    return finished(draft, attempt, Piece(np.zeros(60 * RATE, np.float32), window, options))


def times(segment: Segment) -> list[tuple[float, float]]:
    return [(word.start, word.end) for word in segment.words or ()]


@pytest.mark.parametrize("without_timestamps", [True, False])
@pytest.mark.parametrize("seed", range(20))
def test_words_stay_inside_their_segment_and_in_order(seed: int, without_timestamps: bool):
    """Whatever the alignment said, even of words that end before they start."""
    rng = np.random.default_rng(seed)
    words = [tuple(pair) for pair in rng.uniform(0, 6, (5, 2))]

    segment = made(1.5, 4.0, words, without_timestamps=without_timestamps)

    flat = [segment.start, *(time for pair in times(segment) for time in pair), segment.end]
    assert flat == sorted(flat)
    if without_timestamps:  # the outer words reach the ends that voice activity found
        assert (flat[1], flat[-2]) == (1.5, 4.0)


def test_times_that_are_right_are_left_alone():
    """Nothing is stretched where the model itself tells the times."""
    assert times(made(1.2, 4.0, [(1.3, 2.0), (2.5, 3.0)])) == [(1.3, 2.0), (2.5, 3.0)]


def test_no_segment_leaves_its_window():
    """A timestamp in the padding behind a window would push what the next window says to where nobody says it."""
    segment = made(1.2, 29.0, [(1.2, 2.0), (2.0, 29.0)])

    assert (segment.start, segment.end) == (1.2, 5.0)
    assert times(segment) == [(1.2, 2.0), (2.0, 5.0)]


def test_a_segment_and_its_words_follow_the_one_before():
    """Two windows may overlap by what alignment moved a segment's end; the list of a clip's words is in order still."""
    first = following(made(1.0, 3.0, [(1.0, 3.0)]), [])

    second = following(made(2.8, 4.0, [(2.8, 2.9), (2.9, 4.0)]), [first])

    assert (second.id, second.start, second.end) == (1, 3.0, 4.0)
    assert times(second) == [(3.0, 3.0), (3.0, 4.0)]


def test_streamed_texts_add_up_to_the_whole():
    """A model may end a text with a space, and the last one may be the clip's."""
    first = following(replace(made(1.0, 2.0, []), text=" one. "), [])
    both = [first, following(replace(made(2.0, 3.0, []), text=" two. "), [first])]

    transcript = Transcript(segments=tuple(both), language="en", language_probability=1, duration_s=5)

    assert transcript.text == "".join(one.text for one in both).lstrip() == "one. two."


def test_words_never_leave_the_clip():
    """Times past the end are the end."""
    words = clamped([Word(" a", 0.5, 1.0, 1.0), Word(" b", 0.8, 99.0, 1.0)], 0.0, 2.0)

    assert [(word.start, word.end) for word in words] == [(0.5, 1.0), (1.0, 2.0)]


def test_the_model_is_asked_again_only_for_speech_that_it_left_and_always_further_on():
    """A model that does not move must not be asked for ever."""
    assert resume_at(SPEECH, 300) == 3 * RATE
    assert resume_at(SPEECH, 100) is None  # no step forward
    assert resume_at(SPEECH, 448) is None  # a tenth of a second is left
    assert resume_at(SPEECH, 9_000) is None  # past the window
    assert np.isscalar(resume_at(SPEECH, 300))
