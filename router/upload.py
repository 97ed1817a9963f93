"""
A caller's body, as it streams in: read as a form and spooled at once, byte for byte.

The form is parsed only to know what is asked and to refuse what is malformed; workers get the bytes as they came.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from fleet.errors import BadAudio, BadRequest, BodyTooLarge, UnsupportedMediaType
from fleet.form import FilePart, Form, FormReader, boundary_of, too_large_message
from fleet.forms import FormKind
from fleet.pace import steady
from router.duration import HEAD_BYTES
from router.spool import Spool

DEADLINE_HEADERS = ("X-Request-Timeout", "x-stainless-read-timeout")


@dataclass(slots=True)
class Upload:
    """A body that was received in full."""

    content_type: str
    kind: FormKind
    form: Form
    file: FilePart
    head: bytes  # the first bytes of the file
    spool: Spool

    async def digest(self) -> str:
        """A hash of the file's bytes alone: boundaries differ from try to try."""
        state = hashlib.blake2b(digest_size=16)
        reader = FormReader(
            self.content_type,
            on_file=state.update,
            body_bytes_max=self.spool.size_bytes,
            file_names=self.kind.file_names,
        )
        async for chunk in self.spool.chunks():
            reader.feed(chunk)
        return state.hexdigest()


async def receive(
    request: web.Request,
    spool: Spool,
    kind: FormKind,
    *,
    body_bytes_max: int,
    on_bytes: Callable[[int], None],
    within_s: float,
) -> Upload:
    """Read the whole body into the spool; raises BadRequest, BodyTooLarge or Unavailable as soon as it shows."""
    head = bytearray()

    def on_file(chunk: bytes) -> None:
        if len(head) < HEAD_BYTES:
            head.extend(chunk[: HEAD_BYTES - len(head)])

    content_type = request.headers.get("Content-Type", "")
    reader = FormReader(content_type, on_file=on_file, body_bytes_max=body_bytes_max, file_names=kind.file_names)
    async for chunk in steady(aiter(request.content.iter_any()), total_s=within_s):
        on_bytes(len(chunk))
        reader.feed(chunk)
        await spool.write(chunk)
    form = reader.finish()
    await spool.seal()
    if form.file is None:
        name = kind.file_names[0]
        raise BadRequest(f"Send the audio as a part named '{name}'.", code="missing_file", param=name)
    if form.file.size_bytes == 0:
        raise BadAudio("The file is empty.", code="audio_empty")
    return Upload(content_type, kind, form, form.file, bytes(head), spool)


def check_head(request: web.Request, *, body_bytes_max: int) -> None:
    """Refuse, before a byte of the body is read, what its headers already show to be wrong."""
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise UnsupportedMediaType
    boundary_of(request.headers.get("Content-Type", ""))
    if (request.content_length or 0) > body_bytes_max:
        raise BodyTooLarge(too_large_message(body_bytes_max))


def deadline_s(request: web.Request, default_s: float) -> float:
    """How long the caller will wait, by its own word, else the default."""
    for name in DEADLINE_HEADERS:
        try:
            stated_s = float(request.headers.get(name, ""))
        except ValueError:
            continue
        if math.isfinite(stated_s) and stated_s > 0:
            return min(stated_s, default_s * 100)
    return default_s


def client_retries(request: web.Request) -> int:
    """How often the client was here before with this, as OpenAI's clients say."""
    stated = request.headers.get("x-stainless-retry-count", "")
    return int(stated) if stated.isdecimal() and len(stated) < 4 else 0
