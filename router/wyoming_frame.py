"""
Wyoming's framing: a line of JSON, then data (JSON) and payload (bytes) of the lengths that the line announces.

The `wyoming` package reads whatever length a peer announces; here each is capped before a byte of it is read.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any

from wyoming.event import Event
from wyoming.version import __version__ as protocol_version

from fleet.errors import BadRequest
from router.job import CallerGone

LINE_BYTES_MAX = 64 * 1024  # what the package's own reader takes
DATA_BYTES_MAX = 256 * 1024  # some thousand names that may occur in the speech
PAYLOAD_BYTES_MAX = 1 << 20  # half a minute of speech; clients send a fifteenth of a second
EVENTS_IN_A_ROW = 200  # then others have a turn: what is in the buffer already is read without any wait
SEND_WITHIN_S = 10.0  # our events are small: who takes longer to read one has gone, or wants to hold us


@dataclass(frozen=True, slots=True)
class Head:
    """What the line says: the event's type, its data so far, and how many bytes of data and payload follow."""

    type: str
    data: dict[str, Any]
    data_bytes: int
    payload_bytes: int


class EventStream:
    """
    Events from one connection, and to it.

    State: the part of the next event that was read so far, so that `next` may be cancelled between any two bytes; and
    how many events came.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        writer.transport.set_write_buffer_limits(0)  # what was sent has left: a close has nothing to wait for
        self._head: Head | None = None
        self._data: dict[str, Any] | None = None
        self._count = 0

    async def next(self) -> Event | None:
        """The next event, None once the other side has gone. Raises BadRequest for what is no event."""
        if self._head is None and self._count % EVENTS_IN_A_ROW == 0:
            await asyncio.sleep(0)
        try:
            if self._head is None:
                self._head = head_of(await self._reader.readuntil(b"\n"))
            head = self._head
            if self._data is None:
                text = await self._reader.readexactly(head.data_bytes)
                self._data = head.data | parsed(text) if text else head.data
            payload = await self._reader.readexactly(head.payload_bytes)
        except asyncio.LimitOverrunError as error:
            raise BadRequest(f"An event's line may have at most {LINE_BYTES_MAX} bytes.") from error
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        event = Event(head.type, self._data, payload)
        self._head = self._data = None
        self._count += 1
        return event

    async def send(self, event: Event) -> None:
        """Send an event; raises CallerGone if the other side has gone or does not read."""
        try:
            self._writer.write(framed(event))
            async with asyncio.timeout(SEND_WITHIN_S):
                await self._writer.drain()
        except (ConnectionError, TimeoutError) as error:
            self._writer.transport.abort()
            raise CallerGone from error

    async def end(self, within_s: float) -> None:
        """Say no more, and read on for a moment: closed over unread bytes, the line is reset and our last word lost."""
        try:
            self._writer.write_eof()
            async with asyncio.timeout(within_s):
                while await self._reader.read(LINE_BYTES_MAX):
                    pass
        except (ConnectionError, TimeoutError):
            return


def head_of(line: bytes) -> Head:
    """The line, parsed; raises BadRequest."""
    values = parsed(line)
    kind, data = values.get("type"), values.get("data") or {}
    if not isinstance(kind, str) or not isinstance(data, dict):
        raise no_event()
    return Head(
        kind,
        data,
        _length(values.get("data_length"), DATA_BYTES_MAX, "data"),
        _length(values.get("payload_length"), PAYLOAD_BYTES_MAX, "payload"),
    )


def framed(event: Event) -> bytes:
    """
    An event without payload, as bytes.

    All ASCII: text that was echoed may hold half of a surrogate pair, which has no UTF-8.
    """
    head: dict[str, Any] = {"type": event.type, "version": protocol_version}
    data = json.dumps(event.data).encode() if event.data else b""
    if data:
        head["data_length"] = len(data)
    return json.dumps(head).encode() + b"\n" + data


def parsed(text: bytes) -> dict[str, Any]:
    """A JSON object; raises BadRequest."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise no_event() from error
    if not isinstance(values, dict):
        raise no_event()
    return values


def no_event() -> BadRequest:
    """One answer for all that is not well-formed."""
    return BadRequest("This is not a Wyoming event.")


def _length(value: Any, most: int, what: str) -> int:
    if value is None:
        return 0
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise no_event()
    if value > most:
        raise BadRequest(f"An event's {what} may have at most {most} bytes.")
    return value
