"""What is no HTTP gets the envelope too; more of it on real sockets in tests/hostile/test_http.py."""

import asyncio
import json

import pytest
from aiohttp import web

from fleet.connection import ConnectionLimits
from fleet.serve import listening


async def hello(_: web.Request) -> web.Response:
    return web.Response(text="hello")


@pytest.mark.parametrize("sent", [b"GET / HTTP/9.9\r\n\r\n", b"GET / HTTP/1.1\r\nHost: x\r\nsecret\r\n\r\n"])
async def test_what_is_no_request_is_told_so_and_not_quoted(sent):
    """
    The same four keys as for every error, and the connection is closed; a good request is none of its business.
    """
    app = web.Application()
    app.router.add_get("/", hello)
    runner = web.AppRunner(app)
    await runner.setup()
    async with listening(runner, "127.0.0.1", 0, limits=ConnectionLimits()) as port:
        answers = []
        for request in (sent, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(request)
            async with asyncio.timeout(20):
                answers.append(await reader.read())
            writer.close()
            await writer.wait_closed()
    await runner.cleanup()

    head, _, body = answers[0].partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.0 400 ")
    assert b"\r\nServer: whisper-fleet\r\n" in head + b"\r\n"
    assert b"aiohttp" not in head
    assert json.loads(body)["error"] == {
        "message": "This is not an HTTP request.",
        "type": "invalid_request_error",
        "param": None,
        "code": "invalid_value",
    }
    assert answers[1].endswith(b"hello")
