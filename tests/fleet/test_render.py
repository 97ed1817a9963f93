"""Answers, read by other people's parsers."""

import json
import math

import pytest
import srt
import webvtt
from hypothesis import given
from hypothesis import strategies as st

from fleet.errors import Unavailable
from fleet.fields import parse_request
from fleet.render import clock, delta_event, done_event, error_event, render
from fleet.wire import Segment, Transcript, Word

WORDS = (Word(" seven", 0.5, 0.9, 0.99), Word(" three", 1.0, 1.4, 0.98))
SEGMENTS = (
    Segment(id=0, start=0.5, end=1.4, text=" seven three", tokens=(1, 2), avg_logprob=-0.1, words=WORDS),
    Segment(id=1, start=59.9996, end=3661.5, text=" a --> b & <c>\n\nd"),
)
TRANSCRIPT = Transcript(segments=SEGMENTS, language="en", language_probability=0.99, duration_s=3662.2)
SILENCE = Transcript(segments=(), language="en", language_probability=0.5, duration_s=2.0)


def rendered(response_format, *fields, transcript=TRANSCRIPT):
    """Body as text, and content type."""
    body, content_type = render(transcript, parse_request([("response_format", response_format), *fields]))
    return body.decode(), content_type


def test_json():
    """Text and what it is billed by; nothing else unless asked for."""
    body, content_type = rendered("json")

    assert content_type == "application/json"
    assert set(json.loads(body)) == {"text", "usage"}
    assert json.loads(body)["usage"] == {"type": "duration", "seconds": 3663}
    assert "logprobs" in json.loads(rendered("json", ("include[]", "logprobs"))[0])


def test_verbose_json_has_every_field_that_typed_clients_demand():
    """All ten of a segment, numbers as numbers, ids from 0."""
    answer = json.loads(rendered("verbose_json")[0])

    assert (answer["task"], answer["language"], answer["duration"]) == ("transcribe", "english", 3662.2)
    needed = {"id", "seek", "start", "end", "text", "tokens", "temperature", "avg_logprob"}
    needed |= {"compression_ratio", "no_speech_prob"}
    assert all(needed <= set(segment) for segment in answer["segments"])
    assert [segment["id"] for segment in answer["segments"]] == [0, 1]
    assert "words" not in answer


def test_verbose_json_with_words_only():
    """Words at the top without their leading space; no segments."""
    answer = json.loads(rendered("verbose_json", ("timestamp_granularities[]", "word"))[0])

    assert [word["word"] for word in answer["words"]] == ["seven", "three"]
    assert "segments" not in answer


def test_numbers_that_json_does_not_have():
    """An engine's NaN or infinity never reaches the body."""
    segment = Segment(id=0, start=0, end=1, text="x", avg_logprob=-math.inf, compression_ratio=math.nan)
    transcript = Transcript(segments=(segment,), language="en", language_probability=1, duration_s=1)

    body, _ = rendered("verbose_json", transcript=transcript)
    json.loads(body, parse_constant=pytest.fail)


def test_text():
    """One line end at the end, and plain text by name."""
    body, content_type = rendered("text")
    assert (body[-1], content_type) == ("\n", "text/plain; charset=utf-8")


def test_srt_is_read_by_another_parser():
    """Cues numbered from 1 with the times that went in; a text with an arrow or blank line does not break them."""
    body, content_type = rendered("srt")
    cues = list(srt.parse(body))

    assert content_type == "text/plain; charset=utf-8"
    assert [cue.index for cue in cues] == [1, 2]
    assert cues[1].start.total_seconds() == 60.0
    assert cues[1].content == "a -> b & <c> d"


def test_vtt_is_read_by_another_parser(tmp_path):
    """With its header, and its text escaped."""
    body, content_type = rendered("vtt")
    cues = list(webvtt.from_string(body))

    assert content_type == "text/vtt; charset=utf-8"
    assert body.startswith("WEBVTT\n\n")
    assert cues[1].end == "01:01:01.500"
    assert "&amp; &lt;c&gt;" in body


@pytest.mark.parametrize(("response_format", "body"), [("srt", ""), ("vtt", "WEBVTT\n\n"), ("text", "\n")])
def test_silence(response_format, body):
    """No speech is an empty answer of the right form, not an error."""
    assert rendered(response_format, transcript=SILENCE)[0] == body


@given(st.floats(0, 400_000))
def test_clock_never_shows_sixty(seconds):
    """Rounded once: minutes and seconds stay below 60, and the time is within half a millisecond."""
    hours, minutes, rest = clock(seconds, ".").split(":")

    assert int(minutes) < 60
    assert float(rest) < 60
    assert abs(int(hours) * 3600 + int(minutes) * 60 + float(rest) - seconds) <= 0.0005 + 1e-9


def test_deltas_add_up_to_the_done_text():
    """What was streamed is what is said at the end."""
    request = parse_request([("stream", "true")])
    deltas = [delta_event(segment, request, is_first=segment.id == 0) for segment in SEGMENTS]
    texts = [json.loads(event.removeprefix(b"data: "))["delta"] for event in deltas]
    done = json.loads(done_event(TRANSCRIPT, request).removeprefix(b"data: "))

    assert "".join(texts) == done["text"]
    assert "usage" not in done
    assert all(event.endswith(b"\n\n") and event.count(b"\n") == 2 for event in deltas)


def test_failure_in_a_stream():
    """The envelope as an event."""
    event = error_event(Unavailable())
    assert json.loads(event.removeprefix(b"data: "))["error"]["code"] == "overloaded"
