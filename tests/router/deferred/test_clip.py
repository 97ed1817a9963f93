"""The file's bytes and no others, however the form was cut."""

import pytest

from router.deferred.clip import pieces
from router.door import form_of
from router.spool import Spool, SpoolBudget
from router.upload import receive

CLIP = b"RIFF\r\n--x\r\n" + bytes(range(256)) * 20_000


@pytest.mark.parametrize("memory_bytes", [10**8, 0], ids=["in memory", "on disk"])
async def test_the_files_bytes_come_back(memory_bytes):
    """Twice over, since a failed store may be tried again; from memory and from disk."""
    async with Spool(SpoolBudget(memory_bytes=memory_bytes, disk_bytes=10**8)) as spool:
        body = form_of([("language", "en")], CLIP)
        upload = await receive(body, spool, body_bytes_max=10**8, on_bytes=lambda _: None)
        for _ in range(2):
            assert b"".join(pieces(upload)) == CLIP
