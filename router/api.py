"""The router's HTTP surface: each handler reads what was asked, calls the part that knows, and answers."""

from __future__ import annotations

import logging
import time

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from fleet import __version__, models
from fleet.errors import FleetError, MethodNotAllowed
from fleet.forms import ASR, INFERENCE, PLAIN, TRANSCRIPTIONS, TRANSLATIONS, FormKind
from fleet.web import ExpectHandler, Handler, add, json_answer
from router.caller import Caller, caller_of
from router.dispatch import Floor
from router.expect import expecting
from router.intake import Intake
from router.job import CallerGone
from router.keys import Keys
from router.metrics import Metrics
from router.offer import Offer
from router.reply import CallerReply
from router.settings import RouterSettings
from router.status import Status
from router.upload import body_of
from router.wyoming import WyomingDoor

logger = logging.getLogger("router")


class Api:
    """Handlers, and what they need."""

    def __init__(
        self,
        settings: RouterSettings,
        intake: Intake,
        *,
        keys: Keys,
        floor: Floor,
        offer: Offer,
        metrics: Metrics,
        status: Status,
        wyoming: WyomingDoor,
    ) -> None:
        self._settings = settings
        self._intake = intake
        self._keys = keys
        self._floor = floor
        self._offer = offer
        self._metrics = metrics
        self._status = status
        self._wyoming = wyoming

    def add_routes(self, routes: web.UrlDispatcher) -> None:
        """Register everything."""
        for kind in (TRANSCRIPTIONS, TRANSLATIONS, PLAIN, ASR, INFERENCE):
            add(routes, "POST", kind.path, self._handler(kind), expect=self.expecting(kind))
        add(routes, "GET", "/v1/models", self.list_models, head=True)
        add(routes, "GET", "/v1/models/{id:.+}", self.get_model)
        add(routes, "DELETE", "/v1/models/{id:.+}", self.delete_model)
        add(routes, "GET", "/health", self.health, head=True)
        add(routes, "GET", "/healthz", self.healthz, head=True)
        add(routes, "GET", "/readyz", self.readyz, head=True)
        add(routes, "GET", "/metrics", self.get_metrics, head=True)

    def _handler(self, kind: FormKind) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            reply = CallerReply(request)
            body = body_of(request, kind, within_s=self._settings.body_timeout_s)
            try:
                await self._intake.serve(self._caller(request), body, reply)
            except FleetError as error:
                return await reply.fail(error)
            except CallerGone:  # no error of ours, and nobody to tell
                raise
            except Exception:  # the edge, for an answer that may have begun: a second head would run into it
                logger.exception("unexpected error")
                return await reply.fail(FleetError())
            return await reply.finish()

        return handle

    def expecting(self, kind: FormKind) -> ExpectHandler:
        """`Expect: 100-continue`: a caller who would be refused is told so before it sends its body."""

        def check(request: web.Request) -> None:
            self._keys.require(request)
            body = body_of(request, kind, within_s=self._settings.body_timeout_s)
            self._intake.check(self._caller(request), body)

        return expecting(check)

    def _caller(self, request: web.Request) -> Caller:
        return caller_of(request, now=time.monotonic(), default_deadline_s=self._settings.default_deadline_s)

    # what is there, and how it is

    async def list_models(self, _: web.Request) -> web.Response:
        """GET /v1/models."""
        return json_answer(models.listed(self._offer.models()))

    async def get_model(self, request: web.Request) -> web.Response:
        """GET /v1/models/{id}; ids may contain slashes, plain or as %2F."""
        name = request.match_info["id"].rstrip("/")
        self._offer.resolve(name)
        return json_answer(models.described(name))

    async def delete_model(self, request: web.Request) -> web.Response:
        """DELETE /v1/models/{id}: nobody may, but the scripted engine plays along for other people's test-suites."""
        if not self._offer.is_scripted:
            raise MethodNotAllowed("Models cannot be deleted here.")
        return json_answer({"id": request.match_info["id"], "object": "model", "deleted": True})

    async def health(self, _: web.Request) -> web.Response:
        """GET /health: 200 while at least one worker is ready."""
        now = time.monotonic()
        ready = len(self._floor.pool.usable(now))
        body = {
            "status": "healthy" if ready else "unhealthy",
            "service": "whisper-fleet",
            "version": __version__,
            "workers": len(self._floor.pool.workers),
            "ready": ready,
            "models": self._offer.models(),
            "note": next((w.report.note for w in self._floor.pool if w.report and w.report.note), None),
            "wyoming_port": self._wyoming.port,
            "expected_wait_s": round(self._floor.admission.expected_wait_s(now), 3),
        }
        return json_answer(body, status=200 if ready else 503)

    async def healthz(self, _: web.Request) -> web.Response:
        """GET /healthz: the event loop turns."""
        return json_answer({"status": "alive"})

    async def readyz(self, _: web.Request) -> web.Response:
        """GET /readyz: a worker is ready and this router is not draining."""
        is_ready = self._status.state == "serving" and bool(self._floor.pool.usable(time.monotonic()))
        return json_answer({"status": "ready" if is_ready else self._status.state}, status=200 if is_ready else 503)

    async def get_metrics(self, _: web.Request) -> web.Response:
        """GET /metrics."""
        return web.Response(body=self._metrics.page(), headers={"Content-Type": CONTENT_TYPE_LATEST})
