"""A worker's answer as Wyoming events: the text in chunks as it is decoded, and then whole."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from wyoming.asr import TranscriptChunk, TranscriptStart, TranscriptStop
from wyoming.error import Error
from wyoming.event import Event

from fleet.errors import FleetError, UpstreamFailed
from router.wyoming_speech import Wish

Send = Callable[[Event], Awaitable[None]]


class EventReply:
    """
    One answer. The worker streams; each piece of text goes out as it comes.

    Until the first has gone out, the request may still be tried elsewhere. State: what is not a whole event yet.
    """

    def __init__(self, send: Send, wish: Wish) -> None:
        self._send = send
        self._wish = wish
        self._is_event_stream = False
        self._buffer = b""
        self._text: str | None = None
        self._error: Error | None = None
        self.has_content = False
        self.status = 0

    async def send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        """A whole answer: an error, or one that was kept."""
        await self.start(status, headers)
        await self.write(body)

    async def start(self, status: int, headers: dict[str, str]) -> None:
        """The head of an answer; what an earlier attempt left is void."""
        self.status, self._buffer, self._text, self._error = status, b"", None, None
        self._is_event_stream = headers.get("Content-Type", "").startswith("text/event-stream")

    async def write(self, chunk: bytes) -> None:
        """A piece of it, as long as it happens to be."""
        self._buffer += chunk
        while self._is_event_stream and b"\n\n" in self._buffer:
            event, _, self._buffer = self._buffer.partition(b"\n\n")
            if event.startswith(b"data: "):
                await self._take(json.loads(event.removeprefix(b"data: ")))

    async def keep_alive(self) -> None:
        """No proxy stands between."""

    async def finish(self) -> None:
        """Send what ends the answer; raises FleetError where there was none."""
        if not self._is_event_stream and self._buffer:
            await self._take(json.loads(self._buffer))
        if self._error is not None:
            raise FleetError(self._error.text, code=self._error.code)
        if self._text is None:
            raise UpstreamFailed
        await self._begin()
        await self._send(self._wish.transcript(self._text))
        await self._send(TranscriptStop().event())

    async def _take(self, answer: dict[str, Any]) -> None:
        if "delta" in answer:
            await self._begin()
            await self._send(TranscriptChunk(str(answer["delta"])).event())
        elif "text" in answer:
            self._text = str(answer["text"])
        elif isinstance(error := answer.get("error"), dict):
            if self.status < 400:
                self.status = 400 if error.get("type") == "invalid_request_error" else 500
            self._error = Error(str(error.get("message")), str(error.get("code")))

    async def _begin(self) -> None:
        if not self.has_content:
            self.has_content = True
            await self._send(TranscriptStart(language=self._wish.language, context=self._wish.context).event())
