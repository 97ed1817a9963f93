"""Frames."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.errors import Unavailable
from router.realtime import events
from router.realtime.events import BadEvent, Kind

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["type", "audio", "session", "x"]), inner)
    ),
    max_leaves=10,
)


def test_audio_is_unpacked():
    """With the caller's own id."""
    frame = {"type": "input_audio_buffer.append", "event_id": "e1", "audio": base64.b64encode(b"abc").decode()}
    event = events.parse(json.dumps(frame))
    assert (event.kind, event.audio, event.event_id) == (Kind.APPEND, b"abc", "e1")


@pytest.mark.parametrize(
    ("frame", "param"),
    [
        ("", None),
        ("{", None),
        ("[" * 100_000, None),
        ("[]", None),
        ('{"type": "response.create"}', "type"),
        ('{"type": {}}', "type"),
        ("{}", "type"),
        ('{"type": "input_audio_buffer.append"}', "audio"),
        ('{"type": "input_audio_buffer.append", "audio": "????"}', "audio"),
        ('{"type": "input_audio_buffer.append", "audio": "AAA"}', "audio"),
        ('{"type": "input_audio_buffer.append", "audio": "\\u00fc\\u00fc\\u00fc\\u00fc"}', "audio"),
        ('{"type": "session.update"}', "session"),
        ('{"type": "session.update", "session": []}', "session"),
    ],
)
def test_what_cannot_be_used_is_an_error_with_a_name(frame: str, param: str | None):
    """Never anything but BadEvent."""
    with pytest.raises(BadEvent) as caught:
        events.parse(frame)
    assert caught.value.error.param == param


def test_an_error_carries_the_id_of_the_event_that_caused_it():
    """If it is one."""
    with pytest.raises(BadEvent) as caught:
        events.parse('{"type": "x", "event_id": "e7"}')
    assert events.error(caught.value.error, caught.value.event_id)["error"]["event_id"] == "e7"
    with pytest.raises(BadEvent) as caught:
        events.parse('{"type": "x", "event_id": ["e7"]}')
    assert caught.value.event_id is None


@given(JSON)
def test_any_json_is_an_event_or_a_bad_one(value: object):
    """Nothing else comes of it."""
    try:
        events.parse(json.dumps(value))
    except BadEvent as bad:
        assert bad.error.status == 400


def test_an_item_is_named_as_each_shape_of_the_api_names_it():
    """Created in the beta; added and done today."""
    beta = [event["type"] for event in events.committed("i2", "i1", is_beta=True)]
    today = events.committed("i2", "i1", is_beta=False)
    assert beta == ["input_audio_buffer.committed", "conversation.item.created"]
    assert [event["type"].rpartition(".")[2] for event in today] == ["committed", "added", "done"]
    assert all(event["previous_item_id"] == "i1" for event in today)


def test_a_failed_item_has_the_error_of_the_request():
    """Its code and sentence."""
    error = events.failed("i1", Unavailable())["error"]
    assert (error["type"], error["code"]) == ("server_error", "overloaded")
