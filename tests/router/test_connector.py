"""The router's side of the line to a worker."""

import asyncio
import socket

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from router.connector import ASKED_EVERY_S, ASKED_TIMES, SILENT_S, Connector


@pytest.mark.parametrize("token", [None, "secret"])
async def test_the_other_side_is_asked_whether_it_is_there(token):
    """
    Nothing is sent while a worker transcribes: a host without power would hold its requests until their deadlines.
    """
    told, seen = [], asyncio.Event()

    async def greet(request):
        told.append(request.headers.get("Authorization"))
        answer = web.StreamResponse()
        await answer.prepare(request)
        await seen.wait()
        return answer

    app = web.Application()
    app.router.add_get("/", greet)
    connector = Connector(token)
    async with TestServer(app) as server:
        async for _ in connector.opened(app):
            async with connector.client.get(server.make_url("/")) as answer:
                line = answer.connection.transport.get_extra_info("socket")
                options = [
                    line.getsockopt(level, name)
                    for level, name in (
                        (socket.SOL_SOCKET, socket.SO_KEEPALIVE),
                        (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE),
                        (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL),
                        (socket.IPPROTO_TCP, socket.TCP_KEEPCNT),
                    )
                ]
                seen.set()
                await answer.read()

    assert options == [1, SILENT_S, ASKED_EVERY_S, ASKED_TIMES]
    assert told == [f"Bearer {token}" if token else None]
