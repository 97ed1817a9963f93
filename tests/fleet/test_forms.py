"""What the other forms mean in fields of ours."""

import pytest

from fleet.errors import BadRequest
from fleet.fields import parse_request
from fleet.forms import ASR, INFERENCE, PLAIN, TRANSCRIPTIONS


def test_openais_form_is_taken_as_it_is():
    """Nothing added, nothing lost."""
    assert TRANSCRIPTIONS.fields([("model", "x")], {"language": "de"}) == [("model", "x")]


def test_plain_form_takes_the_language_from_field_or_query():
    """The field wins; the answer is always the long one."""
    assert parse_request(PLAIN.fields([], {"language": "de"})).language == "de"
    assert parse_request(PLAIN.fields([("language", "fr")], {"language": "de"})).language == "fr"
    assert parse_request(PLAIN.fields([("response_format", "srt")], {})).response_format == "verbose_json"


def test_asr_form_is_all_in_the_query():
    """As the clients of that web service send it."""
    query = {"task": "translate", "language": "de", "initial_prompt": "p", "word_timestamps": "true"}
    wanted = parse_request(ASR.fields([], query | {"encode": "false"}))

    assert (wanted.task, wanted.language, wanted.prompt, wanted.wants_words) == ("translate", "de", "p", True)
    assert wanted.is_raw
    assert not parse_request(ASR.fields([], query | {"encode": "true"})).is_raw
    assert not parse_request(ASR.fields([], query)).is_raw


def test_an_output_that_nobody_makes_is_named():
    """Before any audio is read."""
    with pytest.raises(BadRequest) as refused:
        ASR.fields([], {"output": "pdf"})

    assert refused.value.param == "output"


def test_inference_form_is_openais_with_a_switch_to_translate():
    """What clients of whisper.cpp's server send, their beam of -1 and fields that nobody knows here included."""
    sent = [("temperature", "0.0"), ("temperature_inc", "0.2"), ("response_format", "srt"), ("beam_size", "-1")]
    wanted = parse_request(INFERENCE.fields([*sent, ("vad", "false"), ("translate", "true")], {}))

    assert (wanted.task, wanted.response_format, wanted.temperature) == ("translate", "srt", 0)
    assert (wanted.beam_size, wanted.vad.is_on) == (None, False)
    assert parse_request(INFERENCE.fields([("translate", "false"), ("beam_size", "5")], {})).task == "transcribe"


def test_a_switch_that_is_none_is_named():
    """As every other field."""
    with pytest.raises(BadRequest) as refused:
        INFERENCE.fields([("translate", "perhaps")], {})

    assert refused.value.param == "translate"
