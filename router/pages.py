"""
What a browser gets: the playground at /, the status page at /lb-status, the API at /docs, and their scripts and style,
all from memory.

Nothing is loaded from elsewhere and nothing inline is allowed to run: a transcript is whatever somebody said, and a
worker's name whatever somebody configured.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

import fleet
from fleet.errors import NotFound, Unauthorized, Unavailable
from fleet.web import Handler, add, json_answer, nearest, wants_html
from router import signpost, status_page
from router.description import page as docs_page
from router.description.document import document
from router.keys import Keys
from router.status import Status
from router.trend import Trend

STATIC = Path(__file__).parent / "static"
SAMPLE = Path(fleet.__file__).parent / "sample.wav"
WATCHED_EVERY_S = 1.0
WATCHERS_MAX = 64  # at once; the browsers of others ask every second
WRITE_TIMEOUT_S = 30  # for a browser that reads no more
KEPT_S = 0.5  # however many people watch, the status page is rendered twice a second at most
CONTENT_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".json": "application/json",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".wav": "audio/wav",
}
GUARDS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "media-src 'self' blob:; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A file in memory, and the tag by which a browser knows that it has it."""

    body: bytes
    content_type: str
    tag: str

    @classmethod
    def read(cls, path: Path) -> StaticFile:
        """From disk, once."""
        return cls.of(path.read_bytes(), CONTENT_TYPES[path.suffix])

    @classmethod
    def of(cls, body: bytes, content_type: str) -> StaticFile:
        """Something that was made in memory."""
        return cls(body, content_type, f'"{hashlib.sha256(body).hexdigest()[:16]}"')

    def answer(self, request: web.Request) -> web.Response:
        """The file, or 304; browsers ask again each time, so that an upgrade is never half seen."""
        headers = GUARDS | {"ETag": self.tag, "Cache-Control": "no-cache"}
        if request.headers.get("If-None-Match") == self.tag:
            return web.Response(status=304, headers=headers)
        return web.Response(body=self.body, headers=headers | {"Content-Type": self.content_type})


class Pages:
    """The handlers. State: the files, the status page as it was rendered last, and how many watch it."""

    def __init__(self, status: Status, trend: Trend, keys: Keys) -> None:
        self._status = status
        self._trend = trend
        self._keys = keys
        self._files = {path.name: StaticFile.read(path) for path in STATIC.iterdir() if path.suffix in CONTENT_TYPES}
        self._files[SAMPLE.name] = StaticFile.read(SAMPLE)
        described = document()
        self._openapi = StaticFile.of(json.dumps(described).encode(), CONTENT_TYPES[".json"])
        self._docs = docs_page.page(described)
        self._rendered = ""
        self._rendered_at = -KEPT_S
        self._watchers = 0

    def add_routes(self, routes: web.UrlDispatcher) -> None:
        """Register everything."""
        add(routes, "GET", "/", self.playground, head=True)
        add(routes, "GET", "/lb-status", self.lb_status, head=True)
        add(routes, "GET", "/docs", self.docs, head=True)
        add(routes, "GET", "/openapi.json", self.openapi, head=True)
        routes.add_get("/static/{name}", self.static_file)

    async def playground(self, request: web.Request) -> web.Response:
        """GET /."""
        return self._files["playground.html"].answer(request)

    async def docs(self, request: web.Request) -> web.Response:
        """GET /docs: the API, for people, with the address that they asked it at."""
        body = docs_page.asked_at(self._docs, _origin(request))
        return StaticFile.of(body.encode(), CONTENT_TYPES[".html"]).answer(request)

    async def openapi(self, request: web.Request) -> web.Response:
        """GET /openapi.json: the API, for programs."""
        return self._openapi.answer(request)

    async def static_file(self, request: web.Request) -> web.Response:
        """GET /static/{name}: a name that is not one of the files is not looked for on disk."""
        file = self._files.get(request.match_info["name"])
        if file is None:
            raise NotFound
        return file.answer(request)

    async def lb_status(self, request: web.Request) -> web.StreamResponse:
        """
        GET /lb-status: JSON, or the page if a browser asks, or the page every second for who asks for events.

        A browser cannot send a key with an address, so without a good one it gets the page that asks for it.
        """
        if self._keys.is_known(request):
            if request.method == "GET" and "text/event-stream" in request.headers.get("Accept", ""):
                return await self._watch(request)
            return _html(self._page()) if wants_html(request) else json_answer(self._status.to_json())
        if wants_html(request):
            return _html(status_page.locked(), status=401)
        raise Unauthorized

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        """The page as server-sent events, until its reader, its key or the router goes; once in any case."""
        headers = {"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        answer = web.StreamResponse(headers=GUARDS | headers)
        with self._watching(), suppress(ConnectionResetError, TimeoutError):  # of who reads no more
            await answer.prepare(request)
            while True:
                async with asyncio.timeout(WRITE_TIMEOUT_S):
                    await answer.write(f"data: {json.dumps(self._page())}\n\n".encode())
                if self._status.state != "serving" or not self._keys.is_known(request):
                    break
                await asyncio.sleep(WATCHED_EVERY_S)
        return answer

    @contextmanager
    def _watching(self) -> Iterator[None]:
        if self._watchers >= WATCHERS_MAX:
            raise Unavailable("Too many watch this page at once.", retry_after_s=WATCHED_EVERY_S)
        self._watchers += 1
        try:
            yield
        finally:
            self._watchers -= 1

    def _page(self) -> str:
        now = time.monotonic()
        if now - self._rendered_at >= KEPT_S:
            self._rendered = status_page.page(self._status.to_json(), self._trend, has_admin=self._keys.has_admin)
            self._rendered_at = now
        return self._rendered


@web.middleware
async def point_the_way(request: web.Request, handler: Handler) -> web.StreamResponse:
    """A browser that asks for what is not there gets a page with links; it has no key to be asked for first."""
    error = request.match_info.http_exception
    if error is None or request.method not in ("GET", "HEAD") or not wants_html(request):
        return await handler(request)
    if isinstance(error, web.HTTPMethodNotAllowed):
        body = signpost.page(_origin(request), methods=sorted(error.allowed_methods))
    else:
        body = signpost.page(_origin(request), meant=nearest(request))
    return _html(body, status=error.status)


def _origin(request: web.Request) -> str:
    """Scheme and host as the caller has them; a proxy that ends TLS says so."""
    is_https = request.headers.get("X-Forwarded-Proto") == "https" or request.secure
    host = request.headers.get("Host")
    return f"{'https' if is_https else 'http'}://{host}" if host else docs_page.ORIGIN


def _html(text: str, status: int = 200) -> web.Response:
    headers = GUARDS | {"Content-Type": CONTENT_TYPES[".html"], "Cache-Control": "no-store", "Vary": "Accept"}
    return web.Response(text=text, status=status, headers=headers)
