import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from fleet.errors import UpstreamFailed
from router.reply import CallerReply

SSE = {"Content-Type": "text/event-stream"}


async def answered(steps) -> tuple[int, bytes, str]:
    """What a caller receives from a handler that takes these steps on its reply."""

    async def handler(request: web.Request) -> web.StreamResponse:
        reply = CallerReply(request)
        response = await steps(reply)
        return response if response is not None else await reply.finish()

    app = web.Application()
    app.router.add_get("/", handler)
    async with (
        TestServer(app) as server,
        aiohttp.ClientSession() as client,
        client.get(server.make_url("/")) as response,
    ):
        return response.status, await response.read(), response.content_type


async def test_a_whole_answer_is_passed_as_it_is():
    """
    Status, type and bytes.
    """

    async def steps(reply):
        await reply.send(400, {"Content-Type": "application/json"}, b"{}")

    assert await answered(steps) == (400, b"{}", "application/json")


async def test_comments_are_no_content_and_events_are():
    """
    Until the first event the request may be tried elsewhere.
    """

    async def steps(reply):
        await reply.keep_alive()
        await reply.start(200, SSE)
        await reply.write(b": waiting\n\n")
        assert not reply.has_content
        await reply.write(b'data: {"a":1}\n\n')
        assert reply.has_content

    status, body, _ = await answered(steps)
    assert (status, body) == (200, b': waiting\n\n: waiting\n\ndata: {"a":1}\n\n')


async def test_half_an_event_is_not_passed_on_and_is_forgotten_with_its_worker():
    """
    The next worker's first event, or the error, would be taken for the rest of it and be lost.
    """

    async def steps(reply):
        await reply.start(200, SSE)
        for piece in (b": wait", b"ing\n\nda", b'ta: {"a"'):
            await reply.write(piece)
        assert not reply.has_content
        await reply.start(200, SSE)
        await reply.write(b'data: {"a":1}\n\ndata: {"b')
        assert reply.has_content
        return await reply.fail(UpstreamFailed())

    _, body, _ = await answered(steps)
    assert body.startswith(b': waiting\n\ndata: {"a":1}\n\ndata: {"error":')


async def test_half_an_event_is_forgotten_when_the_next_worker_answers_in_one_piece():
    """
    Nothing comes after the end of a stream.
    """

    async def steps(reply):
        await reply.start(200, SSE)
        await reply.write(b'data: {"a"')
        await reply.send(400, {"Content-Type": "application/json"}, b'{"error":{}}')

    assert (await answered(steps))[1] == b'data: {"error":{}}\n\n'


async def test_an_event_without_its_end_is_still_passed_on_at_the_end():
    """
    What a worker says before it closes the line in order is the caller's to read.
    """

    async def steps(reply):
        await reply.start(200, SSE)
        await reply.write(b'data: {"a":1}\n')

    assert (await answered(steps))[1] == b'data: {"a":1}\n'


async def test_an_error_answer_on_a_stream_that_has_begun_becomes_an_event():
    """
    The status line is gone; the envelope still arrives.
    """

    async def steps(reply):
        await reply.keep_alive()
        await reply.send(400, {"Content-Type": "application/json"}, b'{"error":{}}')

    assert (await answered(steps))[1] == b': waiting\n\ndata: {"error":{}}\n\n'


async def test_a_failure_in_the_middle_of_events_is_an_event():
    """
    Never a silent end.
    """

    async def steps(reply):
        await reply.start(200, SSE)
        await reply.write(b'data: {"a":1}\n\n')
        return await reply.fail(UpstreamFailed())

    assert b'"code":"upstream_failed"' in (await answered(steps))[1]


async def test_a_failure_after_the_answer_adds_nothing_to_it():
    """
    A stream that has ended takes no more events.
    """

    async def steps(reply):
        await reply.keep_alive()
        await reply.send(200, SSE, b'data: {"a":1}\n\n')
        assert reply.has_content  # or a worker that is given up while this is sent would be retried, and answer again
        return await reply.fail(UpstreamFailed())

    assert (await answered(steps))[1] == b': waiting\n\ndata: {"a":1}\n\n'


async def test_a_failure_after_the_last_event_adds_nothing_to_it():
    """
    A worker may die between its last event and the end of its line; its caller has the whole answer by then.
    """
    done = b'data: {"type":"transcript.text.done","text":"one"}\n\n'

    async def steps(reply):
        await reply.start(200, SSE)
        await reply.write(done[:20])
        await reply.write(done[20:])
        await reply.write(b": waiting\n\ndata: {")
        return await reply.fail(UpstreamFailed())

    assert (await answered(steps))[1] == done


async def test_a_failure_in_the_middle_of_a_plain_body_cuts_the_line():
    """
    A client must not take half a transcript for a whole one.
    """

    async def steps(reply):
        await reply.start(200, {"Content-Type": "text/plain"})
        await reply.write(b"half")
        return await reply.fail(UpstreamFailed())

    with pytest.raises(aiohttp.ClientError):
        await answered(steps)
