import json

import pytest

from fleet import wire
from router.cache.answer import Answer

HEADERS = {
    "Content-Type": "application/json",
    wire.DURATION: "4.340",
    wire.WORKER: "w1",
    wire.ATTEMPTS: "2",
    wire.QUEUE_MS: "17",
    "Server-Timing": "total;dur=9",
}
ANSWER = Answer.of(200, HEADERS, b'{"text": "\xc3\xa9"}\n')


def test_comes_back_as_it_was_kept():
    """With what belongs to the audio, without what belonged to one request."""
    again = Answer.unpacked(ANSWER.packed())
    assert again == ANSWER
    assert set(again.headers) == {"Content-Type", wire.DURATION, wire.WORKER}
    assert again.audio_s == 4.34


@pytest.mark.parametrize("cut", range(0, len(ANSWER.packed()), 7))
def test_a_part_of_it_is_not_taken_for_the_whole(cut):
    """However much is missing at the end."""
    with pytest.raises(ValueError):
        Answer.unpacked(ANSWER.packed()[:cut])


NOT_OURS = [
    b"",
    b"\n",
    b"[]\n",
    b"{}\nx",
    b"\xff\n",
    b'{"v":2,"headers":{},"bytes":0}\n',
    b'{"v":1,"headers":[],"bytes":0}\n',
    b'{"v":1,"headers":{"X-Audio-Duration":3},"bytes":0}\n',
    b'{"v":1,"headers":{"X-Audio-Duration":"nan"},"bytes":0}\n',
]


@pytest.mark.parametrize("kept", NOT_OURS)
def test_anything_else_is_refused(kept):
    """A store may hold what another version, or nobody of ours, has put there."""
    with pytest.raises(ValueError):
        Answer.unpacked(kept)


def test_headers_that_are_not_ours_are_dropped():
    """Whoever can write into the store cannot set a cookie."""
    kept = b'{"v":1,"headers":{"Set-Cookie":"a","Content-Type":"t"},"bytes":0}\n'
    assert Answer.unpacked(kept).headers == {"Content-Type": "t"}


def test_errors_and_what_was_warned_of_are_not_kept():
    """Only a transcript of all of the audio."""
    assert ANSWER.may_be_kept
    assert not Answer.of(400, HEADERS, b"{}").may_be_kept
    assert Answer.of(200, HEADERS | {wire.IGNORED: "language"}, b"{}").may_be_kept
    assert not Answer.of(200, HEADERS | {wire.WARNINGS: "truncated"}, b"{}").may_be_kept


def test_the_plain_form_says_that_it_is_said_again():
    """Its field `cached`; every other body is the same, byte for byte."""
    plain = Answer.of(200, HEADERS, b'{"transcript": "one", "cached": false}')
    assert json.loads(plain.body_for("/transcribe?language=en")) == {"transcript": "one", "cached": True}
    assert ANSWER.body_for("/v1/audio/transcriptions") == ANSWER.body
    assert Answer.of(400, HEADERS, b"no").body_for("/transcribe") == b"no"
