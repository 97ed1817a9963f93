"""`Expect: 100-continue`: a caller who would be refused is told so before it sends its body."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from fleet.errors import FleetError
from fleet.web import ExpectHandler, error_response


def expecting(check: Callable[[web.Request], None]) -> ExpectHandler:
    """A handler of the expectation; `check` raises the FleetError that refuses the request by its head alone."""

    async def expect(request: web.Request) -> web.StreamResponse | None:
        if request.headers.get("Expect", "").lower() != "100-continue":
            raise web.HTTPExpectationFailed(text="")
        try:
            check(request)
        except FleetError as error:
            return error_response(error)
        if request.transport is not None:
            request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        return None

    return expect
