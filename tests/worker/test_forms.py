"""The answers of /transcribe and /asr."""

import json

from fleet.fields import parse_request
from fleet.wire import Segment, Transcript
from worker.forms import asr_answer, plain_answer
from worker.transcribe import Progress

TRANSCRIPT = Transcript(
    segments=(
        Segment(id=0, start=0.5, end=1.5, text=" one\ttwo", avg_logprob=-0.1),
        Segment(id=1, start=2.0, end=5.0, text=" three", avg_logprob=-0.7),
    ),
    language="en",
    language_probability=0.9,
    duration_s=6.0,
    model="tiny",
)
WANTED = parse_request([("response_format", "verbose_json")])


def test_plain_answer_has_every_promised_field():
    """Confidence is the mean token probability, weighted by the segments' lengths."""
    answer = plain_answer(TRANSCRIPT, Progress(decode_s=0.1, engine_s=0.5), total_s=0.7)

    assert answer["transcript"] == "one\ttwo three"
    assert answer["confidence"] == 0.599  # (1 s of e^-0.1 + 3 s of e^-0.7) / 4 s
    assert answer["processing_time"] == {"preprocess_ms": 100.0, "transcribe_ms": 500.0, "total_ms": 700.0}
    assert answer["real_time_factor"] == 0.1
    assert (answer["model"], answer["cached"], answer["duration"], len(answer["segments"])) == ("tiny", False, 6.0, 2)


def test_plain_answer_of_silence_is_empty_and_not_an_error():
    """No segment, no confidence."""
    silence = Transcript(segments=(), language="en", language_probability=1.0, duration_s=2.0)

    assert plain_answer(silence, Progress(), 0.1)["confidence"] == 0.0


def test_every_asr_output_is_what_its_name_says():
    """txt, vtt, srt, tsv, json."""
    bodies = {
        output: asr_answer(TRANSCRIPT, output, WANTED)[0].decode() for output in ("txt", "vtt", "srt", "tsv", "json")
    }

    assert bodies["txt"] == "one\ttwo three\n"
    assert bodies["vtt"].startswith("WEBVTT\n\n00:00:00.500 --> 00:00:01.500\n")
    assert bodies["srt"].startswith("1\n00:00:00,500 --> 00:00:01,500\n")
    assert bodies["tsv"] == "start\tend\ttext\n500\t1500\tone two\n2000\t5000\tthree\n"
    assert json.loads(bodies["json"])["language"] == "en"
