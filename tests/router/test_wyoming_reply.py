"""A worker's stream as Wyoming events, cut wherever the network cut it."""

import pytest

from fleet.errors import FleetError, UpstreamFailed
from router.wyoming_reply import EventReply
from router.wyoming_speech import Wish

SSE = {"Content-Type": "text/event-stream; charset=utf-8"}
STREAM = (
    b': waiting\n\ndata: {"type":"transcript.text.delta","delta":"one"}\n\n'
    b'data: {"type":"transcript.text.delta","delta":" tw\xc3\xb6"}\n\n'
    b'data: {"type":"transcript.text.done","text":"one tw\xc3\xb6"}\n\n'
)
TOLD = ["transcript-start", "transcript-chunk", "transcript-chunk", "transcript", "transcript-stop"]


class Sent(list):
    async def __call__(self, event):
        self.append(event)


async def answered(*pieces, status=200, headers=SSE, wish=None):
    sent = Sent()
    reply = EventReply(sent, wish or Wish())
    await reply.start(status, headers)
    for piece in pieces:
        await reply.write(piece)
    await reply.finish()
    return sent


@pytest.mark.parametrize("size", [1, 7, 50, 1000])
async def test_pieces_of_any_size(size):
    """
    The same events, also when a letter of two bytes is cut through.
    """
    sent = await answered(*(STREAM[at : at + size] for at in range(0, len(STREAM), size)))
    assert [event.type for event in sent] == TOLD
    assert [event.data.get("text") for event in sent[1:4]] == ["one", " twö", "one twö"]


async def test_a_whole_answer():
    """
    A kept stream and plain JSON are told the same way.
    """
    sent = Sent()
    reply = EventReply(sent, Wish())
    await reply.send(200, SSE, STREAM)
    await reply.finish()
    assert [event.type for event in sent] == TOLD
    sent = await answered(b'{"text": "one"}', headers={"Content-Type": "application/json"})
    assert [event.type for event in sent] == ["transcript-start", "transcript", "transcript-stop"]


async def test_what_was_begun_elsewhere_is_void():
    """
    An attempt that was lost before its first text leaves nothing behind.
    """
    sent = Sent()
    reply = EventReply(sent, Wish())
    await reply.start(200, SSE)
    await reply.write(b": waiting\n\ndata: {")
    assert not reply.has_content
    await reply.start(200, SSE)
    await reply.write(STREAM)
    assert reply.has_content
    await reply.finish()
    assert [event.type for event in sent] == TOLD


@pytest.mark.parametrize(
    ("pieces", "code"),
    [
        ([b'data: {"error":{"message":"m","type":"t","param":null,"code":"engine"}}\n\n'], "engine"),
        ([STREAM[:40], b'{"error":{"message":"m","code":"engine"}}\n\n'], "engine"),
        ([b": waiting\n\n"], UpstreamFailed.code),
        ([], UpstreamFailed.code),
    ],
)
async def test_an_answer_without_end_is_an_error(pieces, code):
    """
    Never a transcript of what happened to have come.
    """
    if len(pieces) == 2:
        pieces = [STREAM[: STREAM.index(b"data: ", 20)], b"data: " + pieces[1]]
    with pytest.raises(FleetError) as error:
        await answered(*pieces)
    assert error.value.code == code
