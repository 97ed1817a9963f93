"""The caller's end of a request: where an attempt's answer is written, once, and never mixed with another's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web

from fleet.errors import FleetError
from fleet.render import HEARTBEAT, SSE_HEADERS, error_event
from router.job import CallerGone

ERROR = b'data: {"error":'  # as our workers write it; no text can hold it, since JSON escapes quotation marks
CALLERS = b'"invalid_request_error"'
DONE = b'"type":"transcript.text.done"'  # the last event; what comes after it, a death of the worker too, is no answer
COMMENTS = re.compile(rb"(?::[^\n]*\n\n)*")  # that keep the line open, and are no part of an answer


class CallerReply:
    """
    One answer to one caller.

    A stream may have to begin while its request still waits. From then on the status is 200 and errors are events;
    until the first event the request may still be tried elsewhere. Events are passed on whole: half of one, left by a
    worker that died, would run into whatever comes next.
    """

    def __init__(self, request: web.Request) -> None:
        self._request = request
        self._stream: web.StreamResponse | None = None
        self._is_event_stream = False
        self._half = b""  # of an event
        self._is_ended = False
        self.response: web.StreamResponse | None = None
        self.has_content = False
        self.status = 200  # on a stream that has begun, the status that its error would have had

    async def send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        """A whole answer; on an event stream that has begun, an event."""
        self.status, self._half = status, b""
        if self._stream is None:
            self.response = web.Response(status=status, headers=headers, body=body)
            return
        self.has_content = True
        await self._write(body if status < 400 else b"data: " + body + b"\n\n")
        await self._end()

    async def start(self, status: int, headers: dict[str, str]) -> None:
        """The head of an answer that follows in pieces."""
        self.status, self._half = status, b""
        self._is_event_stream = headers.get("Content-Type", "").startswith("text/event-stream")
        if self._stream is None:
            await self._open(web.StreamResponse(status=status, headers=headers))
        self.response = self._stream

    async def write(self, chunk: bytes) -> None:
        """A piece of the body, unchanged; of events as many as it completes."""
        if self._is_event_stream:
            events, end, self._half = (self._half + chunk).rpartition(b"\n\n")
            chunk = events + end
        if not chunk:
            return
        self.has_content = self.has_content or not self._is_event_stream or not COMMENTS.fullmatch(chunk)
        if self._is_event_stream and ERROR in chunk:
            self.status = 400 if CALLERS in chunk else 500
        await self._write(chunk)
        if self._is_event_stream and DONE in chunk:
            await self._end()

    async def keep_alive(self) -> None:
        """A comment that event parsers skip, so that no proxy takes the line to be dead."""
        if self._stream is None:
            await self._open(web.StreamResponse(status=200, headers=SSE_HEADERS))
        await self._write(HEARTBEAT)

    async def fail(self, error: FleetError) -> web.StreamResponse:
        """
        Answer with the error: as the envelope, as an event, or, in the middle of a plain body, by cutting the line.

        Raises the error itself where the envelope can still be sent.
        """
        if self._stream is None:
            raise error
        if self._is_ended:  # the caller has its answer; what failed came after it
            return self._stream
        if self._is_event_stream:
            await self._write(error_event(error))
            await self._end()
        elif self._request.transport is not None:
            self._request.transport.abort()
        return self._stream

    async def finish(self) -> web.StreamResponse:
        """The answer, complete."""
        if self._stream is not None:
            if self._half:
                await self._write(self._half)
            await self._end()
            return self._stream
        assert self.response is not None  # noqa: S101  an attempt without failure has answered
        return self.response

    async def _open(self, stream: web.StreamResponse) -> None:
        self._is_event_stream = stream.content_type == "text/event-stream"
        with _caller():
            await stream.prepare(self._request)
        self._stream = stream

    async def _write(self, chunk: bytes) -> None:
        if self._stream is not None and not self._is_ended:
            with _caller():
                await self._stream.write(chunk)

    async def _end(self) -> None:
        if self._stream is not None:
            self._is_ended = True
            with _caller():
                await self._stream.write_eof()


@contextmanager
def _caller() -> Iterator[None]:
    """A broken line inside is the caller's; unnamed, it would pass for the worker's, whose line breaks the same way."""
    try:
        yield
    except ConnectionError as error:
        raise CallerGone from error
