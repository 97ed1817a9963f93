from dataclasses import fields, replace

import pytest

from fleet.fields import ResponseFormat, TranscriptionRequest, Vad, parse_request
from fleet.wire import Tier, WorkerState
from router.cache.key import identity_of, key_of
from tests.router.made import report

PLAIN = {"audio": "aa", "path": "/v1/audio/transcriptions", "identity": "m", "tenant": ""}
OTHER = {
    "task": "translate", "language": "de", "languages": ("de",), "prompt": "p", "hotwords": "h",
    "response_format": ResponseFormat.SRT, "temperature": 0.5, "wants_segments": False, "wants_words": True,
    "wants_logprobs": True, "stream": True, "wants_progress": True, "vad": Vad(is_on=False), "beam_size": 2,
    "condition_on_previous_text": True, "is_raw": True,
}  # fmt: skip


def key(request=None, **changes):
    return key_of(request=request or TranscriptionRequest(), **(PLAIN | changes))


def test_spelling_makes_no_difference():
    """Names of languages, brackets, order and defaults that are spelled out."""
    spellings = [
        [("language", "en"), ("timestamp_granularities[]", "word"), ("response_format", "verbose_json")],
        [("response_format", "verbose_json"), ("language", "English"), ("timestamp_granularities[0]", "word")],
        [("language", "en-US"), ("response_format", "verbose_json"), ("timestamp_granularities[]", "word")],
    ]
    assert len({key(parse_request(fields)) for fields in spellings}) == 1
    assert key(parse_request([("response_format", "json"), ("stream", "false")])) == key()


@pytest.mark.parametrize("name", [field.name for field in fields(TranscriptionRequest)])
def test_whatever_changes_the_answer_changes_the_key(name):
    """Every field of a request, also one that is added tomorrow; only model and tier stand elsewhere or nowhere."""
    if name == "model":
        assert key(TranscriptionRequest(model="whisper-1")) == key()
    elif name == "tier":
        assert key(TranscriptionRequest(tier=Tier.DEFERRED)) == key()
    else:
        assert key(replace(TranscriptionRequest(), **{name: OTHER[name]})) != key()


@pytest.mark.parametrize("name", PLAIN)
def test_audio_path_model_and_owner_are_part_of_it(name):
    """Another of any of them is another answer."""
    assert key(**{name: "another"}) != key()


def test_parts_do_not_run_together():
    """What stands at the end of one is not the beginning of the next."""
    assert key(audio="aab", path="c") != key(audio="aa", path="bc")


def test_identity_outlives_a_restart():
    """Boot ids, load and names are no part of it."""
    first = identity_of([report(boot="b1", worker_id="w1", in_flight=0)], "tiny")
    assert first is not None
    assert identity_of([report(boot="b2", worker_id="w2", in_flight=1), report(boot="b3")], "tiny") == first


@pytest.mark.parametrize("changes", [{"version": "9"}, {"recipe": "r"}, {"compute_type": "float16"}])
def test_workers_that_disagree_have_no_identity(changes):
    """In the middle of an upgrade nothing is kept; afterwards it is another."""
    assert identity_of([report(), report(**changes)], "tiny") is None
    assert identity_of([report(**changes)], "tiny") != identity_of([report()], "tiny")


def test_only_those_who_would_answer_are_asked():
    """Other models, and workers that have not loaded yet, say nothing about this one."""
    others = [report(model="base"), report(state=WorkerState.LOADING, recipe="")]
    assert identity_of([report(recipe="r"), *others], "tiny") == identity_of([report(recipe="r")], "tiny")
    assert identity_of([report(), report(model="base")], None) is None
    assert identity_of([], "tiny") is None
