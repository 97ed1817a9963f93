"""Frames: what the `wyoming` package writes is read, however it is cut; what is too long or no event is refused."""

import asyncio
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wyoming.asr import Transcribe
from wyoming.audio import AudioChunk
from wyoming.event import Event, async_read_event, async_write_event

from fleet.errors import BadRequest
from router.wyoming_frame import LINE_BYTES_MAX, EventStream, framed, head_of

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


class Written:
    """A writer that keeps."""

    def __init__(self):
        self.data = b""

    def write(self, data):
        self.data += data

    def writelines(self, pieces):
        self.data += b"".join(pieces)

    async def drain(self):
        pass

    @property
    def transport(self):
        return self

    def set_write_buffer_limits(self, high):
        pass


def fed(*pieces, limit=LINE_BYTES_MAX):
    reader = asyncio.StreamReader(limit=limit)
    for piece in pieces:
        reader.feed_data(piece)
    return reader


async def test_the_packages_events_are_read():
    """
    Data inside the line, after it, or in both places; payload or none; None at the end.
    """
    writer = Written()
    await async_write_event(Transcribe(language="en", transcript_names=["Zoë"]).event(), writer)
    await async_write_event(AudioChunk(rate=8000, width=1, channels=1, audio=b"\n{}\n").event(), writer)
    both = b'{"type": "x", "data": {"a": 1, "b": 1}, "data_length": 8}\n{"b": 2}'
    reader = fed(writer.data, both)
    reader.feed_eof()
    stream = EventStream(reader, Written())
    assert (await stream.next()).data == {"language": "en", "transcript_names": ["Zoë"]}
    assert (await stream.next()).payload == b"\n{}\n"
    assert (await stream.next()).data == {"a": 1, "b": 2}
    assert await stream.next() is None


async def test_reading_may_be_broken_off_anywhere():
    """
    A reader that is cancelled after each byte reads the same event.
    """
    chunk = AudioChunk(rate=8000, width=1, channels=1, audio=b"abc").event()
    writer = Written()
    await async_write_event(chunk, writer)
    reader = fed()
    stream = EventStream(reader, Written())
    for at in range(len(writer.data)):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await stream.next()
        reader.feed_data(writer.data[at : at + 1])
    assert (await stream.next()).payload == b"abc"


@settings(max_examples=50)
@given(kind=st.text(), data=st.dictionaries(st.text(), VALUES, min_size=1))
def test_the_package_reads_ours(kind, data):
    """
    Whatever text is echoed.
    """

    async def read():
        reader = fed(framed(Event(kind, data)), limit=1 << 20)
        return await async_read_event(reader)

    event = asyncio.run(read())
    assert (event.type, event.data) == (kind, data)


def test_half_a_surrogate_pair_can_be_echoed():
    """
    JSON may hold what has no UTF-8.
    """
    assert json.loads(framed(Event("pong", {"text": "\ud800"})).split(b"\n")[1]) == {"text": "\ud800"}


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"GET / HTTP/1.1\r\n",
        b"[]\n",
        b'"x"\n',
        b"{}\n",
        b'{"type": 5}\n',
        b'{"type": "x", "data": []}\n'.replace(b"[]", b"[1]"),
        b'{"type": "x", "data_length": -1}\n',
        b'{"type": "x", "data_length": true}\n',
        b'{"type": "x", "data_length": 1.5}\n',
        b'{"type": "x", "data_length": "9"}\n',
        b'{"type": "x", "data_length": 300000}\n',
        b'{"type": "x", "payload_length": 2000000}\n',
        b'{"type": "x", "payload_length": 1' + b"0" * 30 + b"}\n",
        b'{"type": "\xff"}\n',
        b"[" * 60_000 + b"\n",
        b'{"type": "x", "payload_length": ' + b"9" * 5000 + b"}\n",
    ],
)
def test_what_is_no_event_is_refused(line):
    """
    By the line alone: nothing that it announces is waited for.
    """
    with pytest.raises(BadRequest):
        head_of(line)


async def test_a_line_without_end_is_refused():
    """
    Once it is longer than any line may be.
    """
    with pytest.raises(BadRequest):
        await EventStream(fed(b"x" * (LINE_BYTES_MAX + 1)), Written()).next()


@pytest.mark.parametrize("data", [b"[1]", b"{]", b"\xff\xfe"])
async def test_data_must_be_an_object(data):
    """
    Also where it stands behind the line.
    """
    with pytest.raises(BadRequest):
        await EventStream(fed(b'{"type": "x", "data_length": %d}\n' % len(data), data), Written()).next()
