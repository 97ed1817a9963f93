"""Reads the events of a worker that was asked to tell its progress; a Reply (router.job) that keeps the answer."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

from fleet.progress import PROGRESS, WHOLE
from router.deferred import verdict
from router.deferred.record import Result
from router.deferred.verdict import Verdict

SSE = "text/event-stream"
NOT_OURS = (ValueError, KeyError, TypeError, AttributeError)  # what reading something else than our own events raises


class Listener:
    """
    One run's answer. Nobody else has seen any of it, so `has_content` stays false and the request may be tried again.

    State: what came so far of the current attempt.
    """

    has_content = False

    def __init__(self) -> None:
        self.progress = 0.0
        self.status = 0
        self._body = bytearray()
        self._begin(0, {})

    async def send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        """A whole answer, as from a worker that knows no progress, or an error."""
        self._begin(status, headers)
        await self.write(body)

    async def start(self, status: int, headers: dict[str, str]) -> None:
        """The head of an answer that follows in pieces."""
        self._begin(status, headers)

    async def write(self, chunk: bytes) -> None:
        """A piece of it; events are read as they are complete."""
        if not self._is_stream:
            self._body += chunk
            return
        *blocks, rest = (bytes(self._body) + chunk).split(b"\n\n")
        self._body = bytearray(rest)
        for block in blocks:
            if block.startswith(b"data: "):
                with suppress(*NOT_OURS):
                    self._hear(json.loads(block.removeprefix(b"data: ")))

    async def keep_alive(self) -> None:
        """Nobody watches."""

    def verdict(self, strikes: int) -> Verdict:
        """What the answer, now complete, means for its job."""
        if self._error is not None:
            return verdict.of_envelope(self.status, self._error, strikes)
        if self._result is not None:
            return self._result
        if self._is_stream or self.status == 0:
            return verdict.of_silence(strikes)
        if self.status >= 400:
            return self._refusal(strikes)
        return Result(self._content_type, bytes(self._body))

    def _refusal(self, strikes: int) -> Verdict:
        try:
            return verdict.of_envelope(self.status, json.loads(self._body)["error"], strikes)
        except NOT_OURS:
            return verdict.of_silence(strikes)

    def _begin(self, status: int, headers: dict[str, str]) -> None:
        self.status = status
        self._content_type = headers.get("Content-Type", "application/octet-stream")
        self._is_stream = self._content_type.startswith(SSE)
        self._body = bytearray()
        self._error: dict[str, str | None] | None = None
        self._result: Result | None = None

    def _hear(self, event: dict[str, Any]) -> None:
        if "error" in event:
            self.status = 400 if event["error"].get("type") == "invalid_request_error" else 500
            self._error = event["error"]
        elif event.get("type") == PROGRESS:
            self.progress = max(0.0, min(1.0, float(event["progress"])))
        elif event.get("type") == WHOLE:
            self._result = Result(event["content_type"], event["body"].encode())
