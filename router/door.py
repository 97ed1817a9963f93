"""
What a door that gets no form over HTTP needs to call the intake: its clip as a form, and a reply that keeps the answer.

    reply = KeptReply()
    await intake.serve(caller, form_of([("language", "en")], wav), reply)
    text = reply.json()["text"]
"""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator, Iterable
from typing import Any

from fleet.forms import TRANSCRIPTIONS
from router.upload import Body


class KeptReply:
    """An answer in memory, for who passes it on in another shape."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""
        self.has_content = False

    async def send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        """A whole answer."""
        self.status, self.headers, self.body = status, headers, body

    async def start(self, status: int, headers: dict[str, str]) -> None:
        """The head of an answer that follows in pieces."""
        self.status, self.headers, self.body = status, headers, b""

    async def write(self, chunk: bytes) -> None:
        """A piece of it. Nobody has seen it yet, so `has_content` stays false and the request may still be retried."""
        self.body += chunk

    async def keep_alive(self) -> None:
        """Nobody watches."""

    def json(self) -> Any:
        """The answer, parsed."""
        return json.loads(self.body)


def form_of(
    fields: Iterable[tuple[str, str]],
    clip: bytes | AsyncIterator[bytes],
    *,
    clip_bytes: int = 0,
    content_type: str = "audio/wav",
) -> Body:
    """
    A clip and its fields as the body of a request.

    `clip_bytes` is the length of a clip that comes in pieces, if it is known. The type is the door's own; fields may
    hold anything.
    """
    boundary = secrets.token_hex(16)
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{quoted(name)}"\r\n\r\n{text}\r\n'
        for name, text in fields
    ]
    parts.append(
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="clip"\r\n'
        f"Content-Type: {content_type}\r\n\r\n"
    )
    head, tail = "".join(parts).encode(), f"\r\n--{boundary}--\r\n".encode()
    if isinstance(clip, bytes):
        clip_bytes = len(clip)

    async def chunks() -> AsyncIterator[bytes]:
        yield head
        if isinstance(clip, bytes):
            yield clip
        else:
            async for chunk in clip:
                yield chunk
        yield tail

    return Body(
        kind=TRANSCRIPTIONS,
        content_type=f"multipart/form-data; boundary={boundary}",
        chunks=chunks(),
        size_bytes=len(head) + clip_bytes + len(tail) if clip_bytes else 0,
    )


def quoted(name: str) -> str:
    """A field's name between quotation marks, as browsers write it."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
