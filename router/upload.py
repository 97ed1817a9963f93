"""
A request's body, as it streams in: read as a form and spooled at once, byte for byte.

The form is parsed only to know what is asked and to refuse what is malformed; workers get the bytes as they came.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from aiohttp import web

from fleet.errors import BadAudio, BadRequest, BodyTooLarge, UnsupportedMediaType
from fleet.form import FilePart, Form, FormReader, boundary_of, too_large_message
from fleet.forms import FormKind
from fleet.pace import steady
from fleet.wire import TIER
from router.duration import HEAD_BYTES
from router.spool import Spool

DIGEST_BYTES = 32  # nobody finds two files with one digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """A form that is still to be read."""

    kind: FormKind
    content_type: str
    chunks: AsyncIterator[bytes]
    size_bytes: int = 0  # stated by the sender; 0 is unknown
    encoding: str = "identity"
    query: str = ""  # of the URL, as it came
    tier: str | None = None  # from the header; the form's own field wins


@dataclass(slots=True)
class Upload:
    """A body that was received in full."""

    content_type: str
    kind: FormKind
    form: Form
    file: FilePart
    head: bytes  # the first bytes of the file
    spool: Spool
    hash: str | None = None  # of the file's bytes, if it was made as they came

    async def digest(self) -> str:
        """A hash of the file's bytes alone: boundaries differ from try to try."""
        if self.hash is not None:
            return self.hash
        state = hashlib.blake2b(digest_size=DIGEST_BYTES)
        reader = self.reader(state.update)
        async for chunk in self.spool.chunks():
            reader.feed(chunk)
        return state.hexdigest()

    def reader(self, on_file: Callable[[bytes], None]) -> FormReader:
        """Reads the spooled body once more, for the file's bytes alone."""
        limit = self.spool.size_bytes
        return FormReader(self.content_type, on_file=on_file, body_bytes_max=limit, file_names=self.kind.file_names)


async def receive(
    body: Body, spool: Spool, *, body_bytes_max: int, on_bytes: Callable[[int], None], is_hashed: bool = False
) -> Upload:
    """
    Read the whole body into the spool; raises BadRequest, BodyTooLarge or Unavailable as soon as it shows.

    `is_hashed` makes the digest meanwhile, for who will need it: a millisecond for each megabyte.
    """
    kind, head = body.kind, b""
    state = hashlib.blake2b(digest_size=DIGEST_BYTES) if is_hashed else None

    def on_file(chunk: bytes) -> None:
        nonlocal head
        if len(head) < HEAD_BYTES:
            head += chunk[: HEAD_BYTES - len(head)]
        if state is not None:
            state.update(chunk)

    reader = FormReader(body.content_type, on_file=on_file, body_bytes_max=body_bytes_max, file_names=kind.file_names)
    async for chunk in body.chunks:
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
    return Upload(body.content_type, kind, form, form.file, head, spool, hash=state.hexdigest() if state else None)


def check_head(body: Body, *, body_bytes_max: int) -> None:
    """Refuse, before a byte of the body is read, what its headers already show to be wrong."""
    if body.encoding.lower() != "identity":
        raise UnsupportedMediaType
    boundary_of(body.content_type)
    if body.size_bytes > body_bytes_max:
        raise BodyTooLarge(too_large_message(body_bytes_max))


def body_of(request: web.Request, kind: FormKind, *, within_s: float) -> Body:
    """The body of an HTTP request, which may take `within_s` and may not drip."""
    headers = request.headers
    return Body(
        kind=kind,
        content_type=headers.get("Content-Type", ""),
        chunks=steady(aiter(request.content.iter_any()), total_s=within_s, is_over=request.content.at_eof),
        size_bytes=request.content_length or 0,
        encoding=headers.get("Content-Encoding", "identity"),
        query=request.rel_url.raw_query_string,
        tier=headers.get(TIER),
    )
