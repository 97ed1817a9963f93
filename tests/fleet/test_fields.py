"""Fields as real clients spell them, and as nobody should."""

import pytest

from fleet.errors import BadRequest
from fleet.fields import ResponseFormat, parse_request
from fleet.wire import Tier


def parse(*fields, **options):
    """The request of these fields."""
    return parse_request(fields, **options)


def refused(*fields, **options):
    """The error of these fields."""
    with pytest.raises(BadRequest) as caught:
        parse(*fields, **options)
    return caught.value


def test_nothing_said_is_a_plain_transcription():
    """Every field is optional; the worker's settings decide the rest."""
    request = parse()

    assert (request.task, request.response_format, request.stream) == ("transcribe", ResponseFormat.JSON, False)
    assert (request.language, request.temperature, request.beam_size, request.vad.is_on) == (None, None, None, None)


@pytest.mark.parametrize(
    "fields",
    [
        [("timestamp_granularities[]", "word"), ("timestamp_granularities[]", "segment")],
        [("timestamp_granularities", "word"), ("timestamp_granularities", "segment")],
        [("timestamp_granularities", "word,segment")],
        [("timestamp_granularities[]", '["word", "segment"]')],
        [("timestamp_granularities[0]", "word"), ("timestamp_granularities[1]", "segment")],
    ],
)
def test_spellings_of_a_list(fields):
    """Repeated, with commas, as JSON, with or without brackets."""
    request = parse(("response_format", "verbose_json"), *fields)
    assert (request.wants_words, request.wants_segments) == (True, True)


def test_words_alone_leave_segments_out():
    """As OpenAI does; but not for the spelling without brackets nor beside a tier, whose callers read segments."""
    verbose = ("response_format", "verbose_json")

    assert not parse(verbose, ("timestamp_granularities[]", "word")).wants_segments
    assert parse(verbose, ("timestamp_granularities", "word")).wants_segments
    assert parse(verbose, ("timestamp_granularities[]", "word"), ("transcription_tier", "realtime")).wants_segments
    assert parse(verbose).wants_segments


def test_words_without_verbose_json():
    """Ignored, unless strict."""
    assert not parse(("timestamp_granularities[]", "word")).wants_words
    assert refused(("timestamp_granularities[]", "word"), is_strict=True).param == "timestamp_granularities[]"


@pytest.mark.parametrize(
    ("tag", "code"), [("EN", "en"), ("pt-BR", "pt"), ("english", "en"), ("auto", None), ("", None)]
)
def test_language(tag, code):
    """Codes, regional tags, names, and words for detection."""
    assert parse(("language", tag)).language == code


def test_unknown_language():
    """Named in the error; the scripted engine takes it for English."""
    assert refused(("language", "klingon")).param == "language"
    assert parse(("language", "klingon"), accepts_any_language=True).language == "en"


@pytest.mark.parametrize("word", ["true", "True", "1", "yes", "on"])
def test_true(word):
    """The spellings of true that clients send."""
    assert parse(("stream", word)).stream


def test_neither_true_nor_false():
    """Anything else is an error on that field."""
    assert refused(("stream", "maybe")).param == "stream"


@pytest.mark.parametrize("value", ["1.01", "-0.1", "nan", "inf", "abc", "1_0", " 1", "", "1e400", "1e999", "\u0661"])
def test_temperature_out_of_range(value):
    """Always 400 on the field, never a crash and never a silent default."""
    assert refused(("temperature", value)).param == "temperature"


@pytest.mark.parametrize(("value", "number"), [("5", 5), ("5.0", 5), ("0.5e1", 5)])
def test_whole_numbers(value, number):
    """However they are spelled."""
    assert parse(("beam_size", value)).beam_size == number


@pytest.mark.parametrize("name", ["beam_size", "min_silence_duration_ms"])
def test_fractions_where_whole_numbers_are_wanted(name):
    """Not rounded: who sends one means something else."""
    assert refused((name, "2.5")).param == name


@pytest.mark.parametrize(
    ("value", "number"),
    [("0", 0), ("1", 1), ("0.5", 0.5), ("2e-1", 0.2), (str(0.1 + 0.2), 0.1 + 0.2), ("5e-324", 5e-324)],
)
def test_temperature(value, number):
    """Plain and scientific notation."""
    assert parse(("temperature", value)).temperature == number


@pytest.mark.parametrize(("value", "code"), [("diarized_json", "unsupported_value"), ("JSON", "invalid_value")])
def test_response_format(value, code):
    """Formats are spelled in lower case; the one that we know of but cannot do has its own code."""
    error = refused(("response_format", value))
    assert (error.param, error.code) == ("response_format", code)


@pytest.mark.parametrize(
    "fields",
    [
        [("chunking_strategy", '{"type": "server_vad", "threshold": 0.3, "silence_duration_ms": 700}')],
        [
            ("chunking_strategy[type]", "server_vad"),
            ("chunking_strategy[threshold]", "0.3"),
            ("chunking_strategy[silence_duration_ms]", "700"),
        ],
    ],
)
def test_chunking_strategy(fields):
    """As a JSON object and with brackets."""
    vad = parse(*fields).vad
    assert (vad.is_on, vad.threshold, vad.min_silence_ms) == (True, 0.3, 700)


def test_chunking_strategy_auto_and_null():
    """`auto` turns voice detection on and leaves its values; `null` says nothing."""
    assert parse(("chunking_strategy", "auto")).vad.is_on
    assert parse(("chunking_strategy", "null")).vad.is_on is None


@pytest.mark.parametrize(
    "value", ["manual", "[1]", '{"type":"other"}', "{", "[" * 5000, '{"type":"server_vad","threshold":2}']
)
def test_bad_chunking_strategy(value):
    """Always 400, whatever it is."""
    assert (refused(("chunking_strategy", value)).param or "").startswith("chunking_strategy")


def test_logprobs():
    """With json only; any other word in the list is refused."""
    assert parse(("include[]", "logprobs")).wants_logprobs
    assert refused(("include[]", "logprobs"), ("response_format", "srt")).code == "unsupported_value"
    assert refused(("include[]", "everything")).param == "include[]"


def test_unknown_fields():
    """Ignored, or in strict mode refused by name."""
    assert parse(("colour", "red"), ("user", "me")) == parse()
    assert refused(("colour", "red"), is_strict=True).code == "unknown_parameter"


def test_field_sent_twice():
    """Which of the two would count? Neither."""
    assert refused(("language", "en"), ("language", "de")).code == "duplicate_field"


def test_keywords_become_hotwords():
    """Both names of the same wish add up."""
    assert parse(("keywords[]", "Ada"), ("keywords[]", "Grace"), ("hotwords", "Linus")).hotwords == "Ada, Grace, Linus"
    assert parse(("keywords[]", '["Ada", "Grace"]'), ("keywords[]", "[sic]")).hotwords == "Ada, Grace, [sic]"


def test_streams_only_where_there_is_something_to_stream():
    """Subtitles and verbose_json come as one body."""
    assert parse(("stream", "true")).streams
    assert parse(("stream", "true"), ("response_format", "text")).streams
    assert not parse(("stream", "true"), ("response_format", "srt")).streams


def test_translation():
    """By route, or by field."""
    assert parse(task="translate").task == "translate"
    assert parse(("task", "translate")).task == "translate"
    assert refused(("task", "summarise")).param == "task"


def test_tier():
    """Deferred only when it says so."""
    assert parse(("transcription_tier", "deferred")).tier is Tier.DEFERRED
    assert parse(("transcription_tier", "whatever")).tier is Tier.REALTIME
