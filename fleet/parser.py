"""aiohttp's parser, with our own word for what is no HTTP: the envelope, and nothing of what was sent."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong

from fleet.errors import BadRequest, FleetError, HeadersTooLarge
from fleet.web import SERVER, error_response


class Parser(web.RequestHandler):
    """Where no request was read, no middleware is asked for an answer; aiohttp's is a text that quotes the bytes."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The last answer on this connection."""
        super().handle_error(request, status, exc, message)  # it logs, and raises where an answer has begun
        answer = error_response(_named(status, exc))
        answer.headers["Server"] = SERVER
        answer.force_close()
        return answer


def _named(status: int, error: BaseException | None) -> FleetError:
    if status >= 500:
        return FleetError()
    return HeadersTooLarge() if isinstance(error, LineTooLong) else BadRequest("This is not an HTTP request.")


def parser_of(server: web.Server) -> Callable[[], Parser]:
    """Makes one for each connection, as the server would: it has no other place to say which kind."""

    def make() -> Parser:
        parser = server()
        parser.__class__ = Parser
        assert isinstance(parser, Parser)  # noqa: S101  for mypy
        return parser

    return make
