"""What is left of a window."""

from worker.window import DecodeOptions, Region, VadOptions, Window

VAD = VadOptions(threshold=0.5, min_speech_ms=250, max_speech_s=30, min_silence_ms=500, speech_pad_ms=400)


def test_the_rest_of_a_window_keeps_the_regions_that_are_not_over():
    """A region that reaches past the cut stays; the rest is prompted by nobody."""
    first, second = Region(0, 100, 10, 90), Region(150, 300, 160, 290)
    window = Window(0, 300, (first, second), is_first=True)

    assert window.rest_from(120) == Window(120, 300, (second,), is_first=False)
    assert window.rest_from(50).regions == (first, second)


def test_windows_are_cut_up_front_unless_each_needs_the_one_before():
    """Conditioning on the text before, or no voice activity detection, means one after the other."""
    assert not DecodeOptions(vad=VAD).is_sequential
    assert DecodeOptions(vad=VAD, condition_on_previous_text=True).is_sequential
    assert DecodeOptions(vad=None).is_sequential
