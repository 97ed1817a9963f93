"""
The connections to the workers, shared by attempts and probes.

A worker is silent while it transcribes, and so is a host that lost its power: to tell them apart the system asks the
other side, and ends the connection where nobody answers, or another who knows nothing of it.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator

import aiohttp
from aiohttp import web

UNUSED_S = 15  # then a connection is closed; a worker keeps its side open longer
SILENT_S, ASKED_EVERY_S, ASKED_TIMES = 15, 5, 3  # half a minute until a host that is gone is known to be gone


class Connector:
    """The client, which there is once the event loop runs."""

    client: aiohttp.ClientSession

    def __init__(self, worker_token: str | None) -> None:
        self._headers = {"Authorization": f"Bearer {worker_token}"} if worker_token else {}

    async def opened(self, _: web.Application) -> AsyncIterator[None]:
        """For as long as the application runs."""
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=UNUSED_S, socket_factory=_socket)
        client = aiohttp.ClientSession(
            connector=connector, auto_decompress=False, headers=self._headers, cookie_jar=aiohttp.DummyCookieJar()
        )
        async with client as self.client:
            yield


def _socket(address: aiohttp.AddrInfoType) -> socket.socket:
    """One on which the system asks whether the other side is still there."""
    family, kind, protocol, _, _ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_KEEPIDLE"):  # else the system's own idea, which is two hours
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, SILENT_S)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, ASKED_EVERY_S)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, ASKED_TIMES)
    return made
