import pytest

from fleet import wire
from router.cache import recording
from router.cache.recording import Recording
from router.door import KeptReply

HEADERS = {"Content-Type": "text/plain", wire.ATTEMPTS: "1"}


async def test_passes_a_whole_answer_on_and_remembers_it():
    """The caller gets all headers, the memory those of the audio."""
    reply = KeptReply()
    taken = Recording(reply)
    await taken.send(200, HEADERS, b"one")
    assert (reply.status, reply.headers, reply.body, taken.status) == (200, HEADERS, b"one", 200)
    assert (taken.answer.headers, taken.answer.body) == ({"Content-Type": "text/plain"}, b"one")


async def test_pieces_are_an_answer_only_at_the_end():
    """Until the run has ended well, what came may be a part."""
    reply = KeptReply()
    taken = Recording(reply)
    await taken.start(200, HEADERS)
    for piece in (b"on", b"e"):
        await taken.write(piece)
        assert taken.answer is None
    taken.end()
    assert taken.answer.body == reply.body == b"one"


async def test_a_second_try_forgets_the_first():
    """What a worker said before it died is no part of what the next one says."""
    taken = Recording(KeptReply())
    await taken.start(200, HEADERS)
    await taken.write(b"half of")
    await taken.start(200, HEADERS)
    await taken.write(b"all")
    taken.end()
    assert taken.answer.body == b"all"


async def test_what_is_too_long_is_passed_on_and_not_kept(monkeypatch):
    """At once or in pieces."""
    monkeypatch.setattr(recording, "BODY_BYTES_MAX", 10)
    for in_pieces in (False, True):
        reply = KeptReply()
        taken = Recording(reply)
        if in_pieces:
            await taken.start(200, HEADERS)
            for _ in range(3):
                await taken.write(b"xxxxx")
        else:
            await taken.send(200, HEADERS, b"x" * 15)
        taken.end()
        assert taken.answer is None and len(reply.body) == 15


async def test_an_answer_that_its_caller_does_not_take_is_still_an_answer():
    """Followers wait for it."""

    class Gone(KeptReply):
        async def send(self, *_):
            raise ConnectionResetError

    taken = Recording(Gone())
    with pytest.raises(ConnectionResetError):
        await taken.send(200, HEADERS, b"one")
    assert taken.answer.body == b"one"
