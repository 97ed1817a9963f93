"""
The least that a router made of aiohttp can be: read a body, post it to the one worker, pass the answer on.

`python -m bench.passthrough PORT WORKER_URL`. No queue, no form, no spool, no retry, no log: what it costs is the floor
under what the router costs.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator

import aiohttp
import uvloop
from aiohttp import web


class Passthrough:
    """One upstream and the session that calls it."""

    def __init__(self, upstream: str) -> None:
        self._upstream = upstream
        self.app = web.Application(client_max_size=0)
        self.app.cleanup_ctx.append(self._with_session)
        self.app.router.add_get("/readyz", self._ready)
        self.app.router.add_post("/{path:.*}", self._pass_on)

    async def _with_session(self, _: web.Application) -> AsyncIterator[None]:
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as self._session:
            yield

    async def _ready(self, _: web.Request) -> web.Response:
        return web.Response()

    async def _pass_on(self, request: web.Request) -> web.Response:
        body, headers = await request.read(), {"Content-Type": request.headers["Content-Type"]}
        async with self._session.post(self._upstream + request.path, data=body, headers=headers) as response:
            headers = {"Content-Type": response.headers["Content-Type"]}
            return web.Response(status=response.status, body=await response.read(), headers=headers)


if __name__ == "__main__":
    uvloop.install()
    web.run_app(Passthrough(sys.argv[2]).app, host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=None)
