"""
CORS_ORIGINS: pages of which other origins may call, and read what they are answered.

Nothing is allowed by cookies or other things that a browser sends by itself: a page must hold the key like any caller.
"""

from __future__ import annotations

import re

from aiohttp import web

from fleet import wire
from fleet.web import Handler

METHODS = "GET, HEAD, POST, DELETE"
NAMES = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~, -]{1,2000}")  # of headers, as RFC 9110 has them
TOLD_FOR_S = 600  # a browser need not ask again before
# what a page may read beside the body; browsers hide all but a few
SHOWN = ", ".join([
    *("Retry-After", "retry-after-ms", "x-should-retry", "Server-Timing"),
    *(wire.REQUEST_ID, wire.WORKER, wire.ATTEMPTS, wire.QUEUE_MS, wire.CACHE, wire.DURATION, wire.WARNINGS),
])  # fmt: skip


class Cors:
    """Answers the browser's question, and stamps answers for pages that may read them."""

    def __init__(self, origins: tuple[str, ...]) -> None:
        self._origins = frozenset(origin.rstrip("/") for origin in origins)

    def join(self, app: web.Application) -> None:
        """Before keys are asked for: the browser's question comes without one. Nothing to do where nobody is named."""
        if self._origins:
            app.middlewares.append(self.answer)
            app.on_response_prepare.append(self.stamp)

    @web.middleware
    async def answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """204 to an OPTIONS that asks on behalf of an allowed page; all else goes on."""
        asked = request.headers.get("Access-Control-Request-Method")
        if request.method != "OPTIONS" or asked is None or self._allowed(request) is None:
            return await handler(request)
        headers = {"Access-Control-Allow-Methods": METHODS, "Access-Control-Max-Age": str(TOLD_FOR_S)}
        wanted = request.headers.get("Access-Control-Request-Headers", "")
        if NAMES.fullmatch(wanted):  # `*` would not let Authorization through
            headers["Access-Control-Allow-Headers"] = wanted
        return web.Response(status=204, headers=headers)

    async def stamp(self, request: web.Request, response: web.StreamResponse) -> None:
        """Every answer, errors and streams included (a signal: it runs before headers are sent)."""
        response.headers.add("Vary", "Origin")
        if (allowed := self._allowed(request)) is not None:
            response.headers["Access-Control-Allow-Origin"] = allowed
            response.headers["Access-Control-Expose-Headers"] = SHOWN

    def _allowed(self, request: web.Request) -> str | None:
        """What to tell the browser, or None for pages that may not call and for who is no page."""
        origin = request.headers.get("Origin")
        if origin is None or not {"*", origin} & self._origins:
            return None
        return "*" if "*" in self._origins else origin
