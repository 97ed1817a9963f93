"""What a worker's answer becomes, however it comes."""

import json

from router.deferred.listener import Listener
from router.deferred.record import JobError, Result
from router.deferred.verdict import Later

SSE = {"Content-Type": "text/event-stream; charset=utf-8"}
WHOLE = {"type": "transcript.whole", "content_type": "text/plain", "body": "sevén\n\n"}


def event(value):
    """As it stands on the wire."""
    return b"data: " + json.dumps(value, ensure_ascii=False).encode() + b"\n\n"


async def heard(*chunks, status=200, headers=SSE):
    """A listener after these pieces."""
    listener = Listener()
    await listener.start(status, headers)
    for chunk in chunks:
        await listener.write(chunk)
    return listener


async def test_events_cut_anywhere():
    """Byte by byte."""
    stream = b": waiting\n\n" + event({"type": "transcript.progress", "progress": 0.25}) + event(WHOLE)
    listener = await heard(*(bytes([byte]) for byte in stream))
    assert listener.progress == 0.25
    assert listener.verdict(0) == Result("text/plain", "sevén\n\n".encode())


async def test_a_stream_that_stops_is_no_answer():
    """Even if its last event was whole but for its end."""
    assert isinstance((await heard(event(WHOLE)[:-1])).verdict(0), Later)
    assert isinstance((await heard(b": waiting\n\n")).verdict(0), Later)
    assert isinstance(Listener().verdict(0), Later)


async def test_another_attempt_begins_anew():
    """Nothing of the first one is left."""
    listener = await heard(event(WHOLE))
    await listener.start(200, SSE)
    assert isinstance(listener.verdict(0), Later)


async def test_errors_in_a_stream():
    """The caller's fault fails the job, ours does not yet."""
    bad = {"message": "m", "type": "invalid_request_error", "param": "file", "code": "audio_corrupt"}
    assert (await heard(event({"error": bad}))).verdict(0) == JobError(400, bad)
    ours = {"message": "m", "type": "server_error", "param": None, "code": "internal_error"}
    assert isinstance((await heard(event({"error": ours}))).verdict(0), Later)


async def test_a_plain_answer():
    """As from a worker that knows no progress; an error's envelope; and what is no envelope."""
    listener = Listener()
    await listener.send(200, {"Content-Type": "application/json"}, b"{}")
    assert listener.verdict(0) == Result("application/json", b"{}")
    await listener.send(400, {}, b'{"error":{"type":"invalid_request_error","code":"x"}}')
    assert isinstance(listener.verdict(0), JobError)
    await listener.send(400, {}, b"<html>")
    assert isinstance(listener.verdict(0), Later)


async def test_events_that_no_worker_of_ours_sends():
    """Are skipped, and are no answer."""
    listener = await heard(
        b"data: {\n\n", b"data: []\n\n", b"data: 1\n\n", event({"type": "transcript.progress", "progress": "x"}),
        event({"type": "transcript.progress", "progress": 7}), event({"type": "transcript.whole"}), event({"error": 1}),
    )  # fmt: skip
    assert listener.progress == 1.0
    assert isinstance(listener.verdict(0), Later)
