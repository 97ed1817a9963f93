"""What a worker tells of a long clip is what the router's jobs understand of it."""

import asyncio

import pytest

from fleet.fields import parse_request
from fleet.progress import progress_event, whole_event
from fleet.render import SSE_TYPE, render
from fleet.wire import Segment, Transcript
from router.deferred.listener import Listener
from router.deferred.record import Result


def transcript(*ends, duration_s=10.0):
    """Segments that end there."""
    segments = tuple(Segment(id=n, start=0.0, end=end, text=f" wörd\n{n}") for n, end in enumerate(ends))
    return Transcript(segments=segments, language="en", language_probability=1.0, duration_s=duration_s)


def heard(*events):
    """A listener that was sent these."""
    listener = Listener()

    async def send():
        await listener.start(200, {"Content-Type": SSE_TYPE})
        for event in events:
            await listener.write(event)

    asyncio.run(send())
    return listener


@pytest.mark.parametrize(
    ("told", "share"),
    [(transcript(), 0.0), (transcript(2.5, 5.0), 0.5), (transcript(10.4), 1.0), (transcript(1.0, duration_s=0.0), 1.0)],
)
def test_progress_is_a_share(told, share):
    """Of the audio, by where the last segment ends; never more than all of it."""
    assert heard(progress_event(told)).progress == share


@pytest.mark.parametrize("wanted", ["json", "text", "verbose_json", "srt", "vtt"])
def test_the_whole_answer_arrives_as_it_was_made(wanted):
    """Byte for byte in every format, with its content type."""
    request = parse_request([("response_format", wanted)])
    body, content_type = render(transcript(2.5, 5.0), request)
    listener = heard(progress_event(transcript(2.5)), whole_event(transcript(2.5, 5.0), request))
    assert listener.verdict(0) == Result(content_type, body)
