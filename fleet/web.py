"""What every HTTP answer of ours has: a request id, and for every error the same envelope."""

import asyncio
import logging
import re
import secrets
from collections.abc import Awaitable, Callable
from difflib import get_close_matches
from typing import Any

from aiohttp import web

from fleet import log
from fleet.connection import Connection
from fleet.errors import BadRequest, BodyTooLarge, FleetError, MethodNotAllowed, NotFound, UnsupportedMediaType
from fleet.wire import REQUEST_ID

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
ExpectHandler = Callable[[web.Request], Awaitable[web.StreamResponse | None]]

SERVER = "whisper-fleet"  # not which versions of what: that is for attackers only
ID_KEY = web.RequestKey("request_id", str)
BEGUN = web.RequestKey("begun", bool)  # the head of the answer is sent
SANE_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")
SANE_HOST = re.compile(r"[A-Za-z0-9._:\[\]-]*")  # empty from HTTP/1.0; nothing that could be a path or another host
HTTP_ERRORS: dict[int, type[FleetError]] = {
    404: NotFound,
    405: MethodNotAllowed,
    413: BodyTooLarge,
    415: UnsupportedMediaType,
}

LIKENESS = 0.75  # 1 is the same; `/v1/chat/completions`, which nobody here has, is 0.6 like what we do have
PATH_CHARS_MAX = 64  # of one that is looked up: no address of ours is longer, and comparing takes time

logger = logging.getLogger(__name__)


def add(
    router: web.UrlDispatcher,
    method: str,
    path: str,
    handler: Handler,
    *,
    expect: ExpectHandler | None = None,
    head: bool = False,
) -> None:
    """
    Register a route, the same without `/v1` (some clients' base URL lacks it), and both with a trailing slash.

    `expect` answers `Expect: 100-continue`, for routes that may refuse before the body is sent. With `head`, HEAD gets
    the same without a body: monitors of uptime ask so.
    """
    expect = _enveloped(expect or any_body)
    plain = {path, path.removeprefix("/v1")}
    for spelling in plain | {f"{one}/" for one in plain if not one.endswith("/")}:
        for each in (method, "HEAD") if head else (method,):
            router.add_route(each, spelling, handler, expect_handler=expect)


async def any_body(request: web.Request) -> web.StreamResponse | None:
    """The expectation on a route that refuses no body. aiohttp's own handler fails on one that is not ASCII."""
    if request.headers.get("Expect", "").lower() != "100-continue":
        raise web.HTTPExpectationFailed(text="")
    if request.transport is not None:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    return None


def _enveloped(expect: ExpectHandler) -> ExpectHandler:
    """A refusal before the body has what every refusal has; no middleware has seen the request by then."""

    async def handle(request: web.Request) -> web.StreamResponse | None:
        request[ID_KEY] = _name(request)
        try:
            return await expect(request)
        except web.HTTPException as error:
            return error_response(_from_http(error))

    return handle


def _name(request: web.Request) -> str:
    """The caller's own id for the request if it is sane, else a new one."""
    given = request.headers.get(REQUEST_ID, "")
    return given if SANE_ID.fullmatch(given) else f"req-{secrets.token_hex(8)}"


@web.middleware
async def name_request(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Give the request an id. It is on the answer and on every log line."""
    name = request[ID_KEY] = _name(request)
    token = log.request_id.set(name)
    connection = request.transport.get_protocol() if request.transport else None
    if isinstance(connection, Connection):
        connection.head_is_read()
    try:
        return await handler(request)
    finally:
        log.request_id.reset(token)
        if isinstance(connection, Connection):
            connection.request_is_over(request.content.is_eof)


async def stamp(request: web.Request, response: web.StreamResponse) -> None:
    """
    What every answer carries, streamed ones included (a signal: it runs before headers are sent).

    The request's id; and that no browser may take a transcript for a page, whatever somebody dictated.
    """
    request[BEGUN] = True
    response.headers["Server"] = SERVER
    response.headers["X-Content-Type-Options"] = "nosniff"
    if ID_KEY in request:
        response.headers[REQUEST_ID] = request[ID_KEY]


@web.middleware
async def answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn errors into the envelope. The process edge: what nobody expected is logged here with its traceback."""
    try:
        return await handler(request)
    except FleetError as error:
        _cut_if_begun(request, error)
        return error_response(error)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return _from_aiohttp(request, error)
    except ConnectionResetError as error:  # the caller hung up: as aiohttp has it, else it logs a traceback for each
        raise asyncio.CancelledError from error
    except Exception as error:
        logger.exception("unexpected error")
        _cut_if_begun(request, error)
        return error_response(FleetError())


def _cut_if_begun(request: web.Request, error: Exception) -> None:
    """A second head in the middle of a body helps nobody: the line is cut, which all can tell."""
    if request.get(BEGUN):
        raise asyncio.CancelledError from error


@web.middleware
async def check_host(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse a Host header that could pass for something else, such as a path."""
    if not SANE_HOST.fullmatch(request.headers.get("Host", "")):
        raise BadRequest("The Host header is not a host.")
    return await handler(request)


def error_response(error: FleetError) -> web.Response:
    """The envelope with its status and headers."""
    return web.json_response(error.to_json(), status=error.status, headers=error.headers())


def nearest(request: web.Request) -> str | None:
    """The address of ours that was probably meant: a letter is missing, or /v1 is there twice."""
    wanted = request.path.rstrip("/")
    if len(wanted) > PATH_CHARS_MAX:
        return None
    canonical = {resource.canonical for resource in request.app.router.resources()}
    known = sorted(path for path in canonical if "{" not in path and not path.endswith("/"))
    return next(iter(get_close_matches(wanted, known, n=1, cutoff=LIKENESS)), None)


def _from_aiohttp(request: web.Request, error: web.HTTPException) -> web.Response:
    refusal = _from_http(error)
    if isinstance(refusal, NotFound) and (meant := nearest(request)):
        refusal = NotFound(f"{NotFound.message} Did you mean {meant}?")
    response = error_response(refusal)
    if isinstance(error, web.HTTPMethodNotAllowed):
        response.headers["Allow"] = ", ".join(sorted(error.allowed_methods))
    return response


def _from_http(error: web.HTTPException) -> FleetError:
    kind = HTTP_ERRORS.get(error.status)
    if kind is not None:
        return kind()
    refused = BadRequest("The request could not be read.") if error.status < 500 else FleetError()
    refused.status = error.status  # type: ignore[assignment]  # aiohttp's own, such as 417
    return refused


def finish(app: web.Application) -> web.Application:
    """Add what every application of ours has; call it once, before the application starts."""
    app.middlewares.extend([name_request, answer_errors, check_host])
    app.on_response_prepare.append(stamp)
    return app


def wants_html(request: web.Request) -> bool:
    """Whether a browser asks: it names text/html, other clients do not."""
    return "text/html" in request.headers.get("Accept", "")


def json_answer(value: Any, status: int = 200) -> web.Response:
    """A plain JSON answer that no cache keeps."""
    return web.json_response(value, status=status, headers={"Cache-Control": "no-store"})
