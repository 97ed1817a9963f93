"""/admin: add and remove workers, drain them, take them back, forget what is held against them. Admin key only."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

from aiohttp import web

from fleet.errors import BadRequest, NotFound
from fleet.settings import SettingError
from fleet.web import add, json_answer
from router.discovery import Discovery, plain_url
from router.pool import Pool
from router.upstream import Worker

BODY_BYTES_MAX = 4096


class Admin:
    """What an operator may do to the pool."""

    def __init__(self, pool: Pool, discovery: Discovery, on_change: Callable[[], None]) -> None:
        self._pool = pool
        self._discovery = discovery
        self._on_change = on_change

    def add_routes(self, routes: web.UrlDispatcher) -> None:
        """Register the verbs; a worker is named by its id or its host:port."""
        add(routes, "POST", "/admin/workers", self.add_worker)
        add(routes, "DELETE", "/admin/workers/{id}", self.remove_worker)
        add(routes, "POST", "/admin/workers/{id}/drain", self.drain)
        add(routes, "POST", "/admin/workers/{id}/undrain", self.undrain)
        add(routes, "POST", "/admin/workers/{id}/reset", self.reset)

    async def add_worker(self, request: web.Request) -> web.Response:
        """POST {"url": "http://host:port"}: one more worker, beside what discovery finds."""
        try:
            body = json.loads(await _short_body(request))
            url = plain_url(body["url"])
        except (ValueError, TypeError, KeyError, RecursionError, SettingError) as error:
            raise BadRequest('Send {"url": "http://HOST:PORT"}.', param="url") from error
        self._discovery.add(url)
        return json_answer({"url": url, "state": self._pool.workers[url].state}, status=201)

    async def remove_worker(self, request: web.Request) -> web.Response:
        """DELETE: nothing new for it, forgotten when idle. One that DNS names is only drained: it would return."""
        worker = self._worker(request)
        if not self._discovery.remove(worker.url):
            self._pool.hold(worker, time.monotonic(), is_held=True)
        return json_answer({"id": worker.name, "state": worker.state})

    async def drain(self, request: web.Request) -> web.Response:
        """POST: nothing new for it until it is undrained."""
        return self._hold(request, is_held=True)

    async def undrain(self, request: web.Request) -> web.Response:
        """POST: it may have requests again."""
        return self._hold(request, is_held=False)

    async def reset(self, request: web.Request) -> web.Response:
        """POST: forget its failures and let it have requests at once."""
        worker = self._worker(request)
        self._pool.forgive(worker)
        self._on_change()
        return json_answer({"id": worker.name, "state": worker.state})

    def _hold(self, request: web.Request, *, is_held: bool) -> web.Response:
        worker = self._worker(request)
        self._pool.hold(worker, time.monotonic(), is_held=is_held)
        self._on_change()
        return json_answer({"id": worker.name, "state": worker.state, "in_flight": len(worker.leases)})

    def _worker(self, request: web.Request) -> Worker:
        wanted = request.match_info["id"]
        for worker in self._pool:
            if wanted in (worker.name, worker.url.removeprefix("http://")):
                return worker
        raise NotFound("There is no such worker; /lb-status lists them.", param="id")


async def _short_body(request: web.Request) -> bytes:
    """The body, of which no more is read than a URL needs, however long it was said to be."""
    body = b""
    while chunk := await request.content.readany():
        body += chunk
        if len(body) > BODY_BYTES_MAX:
            raise BadRequest("The body is too long.")
    return body
