"""A request's body -> text fields and the file, in memory up to a megabyte and on an unlinked file beyond."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from types import TracebackType
from typing import IO

from aiohttp import web
from aiohttp.client_exceptions import ClientError

from fleet.errors import BadRequest, BodyTooLarge, UnsupportedMediaType
from fleet.form import Form, FormReader, malformed, too_large_message
from fleet.pace import steady

MEMORY_BYTES = 1 << 20
FORM_BYTES = 1 << 20  # fields and boundaries may take this much beside the file


@dataclass(slots=True)
class Upload:
    """The form and the file's bytes; a scope, because the file may be on disk."""

    form: Form
    file: IO[bytes]

    def __enter__(self) -> Upload:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.file.close()

    @property
    def size_bytes(self) -> int:
        """Bytes of the file."""
        return self.form.file.size_bytes if self.form.file else 0


def check_head(request: web.Request, file_bytes_max: int) -> None:
    """Refuse, before a byte of the body is read, what its headers already show to be wrong."""
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise UnsupportedMediaType
    if (request.content_length or 0) > file_bytes_max + FORM_BYTES:
        raise BodyTooLarge(too_large_message(file_bytes_max))


async def receive(
    request: web.Request, *, file_bytes_max: int, within_s: float, file_names: Collection[str] = ("file",)
) -> Upload:
    """Read the whole body; raises BadRequest, BodyTooLarge or UnsupportedMediaType as soon as it shows."""
    check_head(request, file_bytes_max)
    file = SpooledTemporaryFile(MEMORY_BYTES)  # noqa: SIM115  the upload closes it
    try:
        form = await _read(request, file, file_bytes_max, within_s, file_names)
    except BaseException:
        file.close()
        raise
    return Upload(form, file)


async def _read(
    request: web.Request, file: IO[bytes], file_bytes_max: int, within_s: float, names: Collection[str]
) -> Form:
    reader = FormReader(
        request.headers.get("Content-Type", ""),
        on_file=file.write,  # type: ignore[arg-type]  # the count is of no use here
        body_bytes_max=file_bytes_max + FORM_BYTES,
        file_names=names,
    )
    try:
        async for chunk in steady(aiter(request.content.iter_any()), total_s=within_s, is_over=request.content.at_eof):
            reader.feed(chunk)
    except ClientError as error:  # a body that breaks its own framing
        raise malformed() from error
    form = reader.finish()
    if form.file is None:
        raise BadRequest("Send the audio as a part named 'file'.", code="missing_file", param="file")
    if form.file.size_bytes > file_bytes_max:
        raise BodyTooLarge(too_large_message(file_bytes_max))
    return form
