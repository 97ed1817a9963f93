"""Who asks before sending gets its answer before sending."""

import asyncio

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from fleet.errors import BodyTooLarge
from router.expect import expecting


def refuse(request):
    if request.headers.get("Refuse"):
        raise BodyTooLarge("too large")


@pytest.mark.parametrize(
    ("headers", "begins"),
    [
        ("Expect: 100-continue", b"HTTP/1.1 100 Continue"),
        ("Expect: 100-continue\r\nRefuse: 1", b"HTTP/1.1 413"),
        ("Expect: something", b"HTTP/1.1 417"),
    ],
)
async def test_expect(headers, begins):
    """100, the refusal, or 417 for what nobody knows."""

    async def handle(request):
        return web.Response()

    app = web.Application()
    app.router.add_route("POST", "/", handle, expect_handler=expecting(refuse))
    async with TestServer(app) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n{headers}\r\n\r\n".encode())
        async with asyncio.timeout(20):
            assert (await reader.readline()).startswith(begins)
        writer.close()
        await writer.wait_closed()
