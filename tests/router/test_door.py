"""A clip that came by another door is served like a form over HTTP."""

import time

from fleet.form import FormReader
from router.caller import Caller
from router.door import KeptReply, form_of
from tests.router.scripted import scripted_fleet


async def read(body):
    """The form and the file that a body holds, and its length."""
    file, length = bytearray(), 0
    reader = FormReader(body.content_type, on_file=file.extend, body_bytes_max=10**6)
    async for chunk in body.chunks:
        reader.feed(chunk)
        length += len(chunk)
    return reader.finish(), bytes(file), length


async def test_a_form_holds_what_was_put_in():
    """
    Line breaks and quotes in a name or value are only that; the stated size is the true one.
    """
    nasty = 'line\r\n--x\r\n"quoted" ünd'
    body = form_of([("prompt", nasty), ('no"; name="file\r\nX: y', "en")], b"RIFF\r\n--")
    form, file, length = await read(body)
    assert form.fields == [("prompt", nasty), ('no"; name="file\r\nX: y', "en")]
    assert file == b"RIFF\r\n--"
    assert length == body.size_bytes


async def test_a_clip_may_come_in_pieces():
    """
    A file from disk is not read into memory for it.
    """

    async def pieces():
        yield b"RI"
        yield b"FF"

    _, file, length = await read(body := form_of([], pieces(), clip_bytes=4))
    assert file == b"RIFF"
    assert length == body.size_bytes


async def test_the_intake_serves_it():
    """
    Through queue, worker and ledger, to an answer in memory.
    """
    async with scripted_fleet(1) as fleet:
        now = time.monotonic()
        caller = Caller(request_id="r1", door="test", arrived_at=now, deadline_at=now + 30)
        reply = KeptReply()
        await fleet.service.intake.serve(caller, form_of([("language", "en")], b"RIFFsome audio"), reply)
        assert reply.status == 200
        assert reply.json() == {"text": "w0"}
        assert fleet.workers[0].headers[0]["X-Request-Id"] == "r1"
        assert (await fleet.status())["totals"]["requests"] == 1
        assert fleet.is_clean()
