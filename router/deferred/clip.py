"""The file of an upload, for the store: its bytes alone, read by a thread that may block."""

from __future__ import annotations

from collections.abc import Iterator

from router.upload import Upload


def pieces(upload: Upload) -> Iterator[bytes]:
    """The file's bytes, as they stand in the spooled form."""
    ready: list[bytes] = []
    reader = upload.reader(ready.append)
    for piece in upload.spool.pieces():
        reader.feed(piece)
        yield from map(bytes, ready)
        ready.clear()
