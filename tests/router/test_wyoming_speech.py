"""What events say, as fields of a form and as the head of a WAV file."""

import io
import wave

import pytest

from fleet.errors import BadAudio, BadRequest
from router.wyoming_speech import HOTWORDS_CHARS_MAX, Layout, Wish


@pytest.mark.parametrize("layout", [(16_000, 2, 1), (48_000, 3, 2), (8_000, 1, 1), (192_000, 4, 8)])
def test_the_head_says_how_samples_lie(layout):
    """
    Another reader of WAV files finds the same rate, width and channels.
    """
    rate_hz, width_bytes, channels = layout
    one = Layout.of({"rate": rate_hz, "width": width_bytes, "channels": channels, "timestamp": None})
    with wave.open(io.BytesIO(one.wav_head() + bytes(24))) as file:
        assert (file.getframerate(), file.getsampwidth(), file.getnchannels()) == layout


@pytest.mark.parametrize(
    "change",
    [{"rate": 0}, {"rate": 3999}, {"rate": 2**40}, {"width": 0}, {"width": 5}, {"channels": 0}, {"channels": 9}]
    + [{"rate": value} for value in (None, "16000", 16000.0, True, [])],
)
def test_layouts_that_nothing_has(change):
    """
    Refused before a sample is read.
    """
    with pytest.raises(BadAudio):
        Layout.of({"rate": 16_000, "width": 2, "channels": 1} | change)


def test_names_count_more_than_terms():
    """
    When there is no room for all: whole words, no word twice.
    """
    names = [f"name{number:04d}" for number in range(60)]
    wish = Wish.of({"transcript_names": names, "transcript_terms": [*names, "term"] * 3})
    words = dict(wish.fields)["hotwords"]
    assert words.startswith("name0000, name0001")
    assert len(words) <= HOTWORDS_CHARS_MAX
    assert set(words.split(", ")) <= set(names)
    assert dict(Wish.of({"transcript_terms": ["a", " ", "b", "a"]}).fields) == {"hotwords": "a, b"}


def test_our_own_name_is_no_model():
    """
    A client that sends back the program's name means the default; empty values mean nothing.
    """
    assert Wish.of({"name": "whisper-fleet", "language": "", "transcript_names": None}).fields == []
    assert Wish.of({"name": "tiny"}).fields == [("model", "tiny")]


@pytest.mark.parametrize(
    "data",
    [
        {"name": 5},
        {"language": ["en"]},
        {"language": "\ud800"},
        {"context": "text"},
        {"context": {"prompt": 1}},
        {"transcript_names": "Ann"},
        {"transcript_names": {"Ann": 1}},
        {"transcript_terms": [1]},
        {"transcript_terms": ["\udfff"]},
    ],
)
def test_values_of_another_kind_are_refused(data):
    """
    With the name of what is wrong, never with an accident further on.
    """
    with pytest.raises(BadRequest):
        Wish.of(data)
