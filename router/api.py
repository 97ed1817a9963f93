"""The router's HTTP surface: each handler reads what was asked, calls the part that knows, and answers."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from fleet import __version__, models
from fleet.errors import FleetError, MethodNotAllowed, Unavailable
from fleet.fields import TranscriptionRequest, parse_request
from fleet.forms import ASR, PLAIN, TRANSCRIPTIONS, TRANSLATIONS, FormKind
from fleet.web import ID_KEY, Handler, add, error_response, json_answer
from fleet.wire import TIER
from router.admission import Ask
from router.dispatch import Dispatcher
from router.estimate import Estimator
from router.job import Job
from router.keys import TENANT, Keys
from router.ledger import Ledger
from router.metrics import Metrics
from router.reply import CallerReply
from router.settings import RouterSettings
from router.spool import Spool, SpoolBudget
from router.status import Status
from router.story import Story
from router.upload import Upload, check_head, client_retries, deadline_s, receive

access = logging.getLogger("router.access")

TRACE_HEADERS = ("traceparent", "tracestate")


class Api:
    """Handlers, and what they need."""

    def __init__(
        self,
        settings: RouterSettings,
        dispatcher: Dispatcher,
        *,
        keys: Keys,
        estimator: Estimator,
        spool: SpoolBudget,
        ledger: Ledger,
        metrics: Metrics,
        status: Status,
    ) -> None:
        self._settings = settings
        self._dispatcher = dispatcher
        self._floor = dispatcher.floor
        self._keys = keys
        self._estimator = estimator
        self._spool = spool
        self._ledger = ledger
        self._metrics = metrics
        self._status = status

    def add_routes(self, routes: web.UrlDispatcher) -> None:
        """Register everything."""
        for kind in (TRANSCRIPTIONS, TRANSLATIONS, PLAIN, ASR):
            add(routes, "POST", kind.path, self._handler(kind), expect=self.on_expect)
        add(routes, "GET", "/v1/models", self.list_models)
        add(routes, "GET", "/v1/models/{id:.+}", self.get_model)
        add(routes, "DELETE", "/v1/models/{id:.+}", self.delete_model)
        add(routes, "GET", "/health", self.health)
        add(routes, "GET", "/healthz", self.healthz)
        add(routes, "GET", "/readyz", self.readyz)
        add(routes, "GET", "/metrics", self.get_metrics)

    async def on_expect(self, request: web.Request) -> web.StreamResponse | None:
        """`Expect: 100-continue`: a caller who would be refused is told so before it sends its body."""
        if request.headers.get("Expect", "").lower() != "100-continue":
            raise web.HTTPExpectationFailed(text="")
        try:
            self._keys.require(request)
            self._check_door(request)
        except FleetError as error:
            return error_response(error)
        if request.transport is not None:
            request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        return None

    def _handler(self, kind: FormKind) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            return await self._transcribe(request, kind)

        return handle

    async def _transcribe(self, request: web.Request, kind: FormKind) -> web.StreamResponse:
        with self._noted(request) as story:
            self._check_door(request)
            async with Spool(self._spool) as spool:
                limit = self._settings.max_upload_bytes
                upload = await receive(
                    request,
                    spool,
                    kind,
                    body_bytes_max=limit,
                    on_bytes=self._received,
                    within_s=self._settings.body_timeout_s,
                )
                story.job = self._job(request, upload, self._read(request, upload, kind), story.arrived_at)
                return await self._answer(request, story.job, upload, story)

    async def _answer(self, request: web.Request, job: Job, upload: Upload, story: Story) -> web.StreamResponse:
        reply = CallerReply(request)
        try:
            await self._dispatcher.serve(job, reply)
        except FleetError as error:
            story.fail(error)
            return await reply.fail(error)
        if job.decoded_s:
            self._estimator.learn(upload.head, upload.file.size_bytes, job.decoded_s)
        response = await reply.finish()
        story.answered(response.status)
        return response

    def _check_door(self, request: web.Request) -> None:
        """Refuse by the headers alone whatever can be refused: nobody uploads in vain."""
        check_head(request, body_bytes_max=self._settings.max_upload_bytes)
        if self._status.state == "draining":
            raise Unavailable("This router is shutting down.", code="draining", retry_after_s=1)
        size_bytes = request.content_length or 0
        if not self._spool.has_room(size_bytes):
            raise Unavailable("The spool for uploads is full.", code="storage_unavailable", retry_after_s=5)
        now, audio_s = time.monotonic(), self._estimator.audio_s(b"", size_bytes)
        ask = Ask(
            audio_s=audio_s,
            arrived_at=now,
            deadline_at=math.inf,
            client_retries=client_retries(request),
            tenant=request[TENANT],
        )
        self._floor.admission.check(ask, now)

    def _read(self, request: web.Request, upload: Upload, kind: FormKind) -> TranscriptionRequest:
        fields = kind.fields(upload.form.fields, request.query)
        if TIER in request.headers and all(name != "transcription_tier" for name, _ in fields):
            fields.append(("transcription_tier", request.headers[TIER]))
        return parse_request(
            fields,
            task=kind.task,
            is_strict=self._settings.strict_fields,
            accepts_any_language=self._is_scripted,
        )

    def _job(self, request: web.Request, upload: Upload, wanted: TranscriptionRequest, arrived_at: float) -> Job:
        audio_s = self._estimator.audio_s(upload.head, upload.file.size_bytes, upload.file.content_type)
        return Job(
            path=upload.kind.target(request.query_string),
            content_type=upload.content_type,
            request=wanted,
            model=models.resolve(wanted.model, self._models(), accepts_any=self._is_scripted),
            spool=upload.spool,
            digest=upload.digest,
            audio_s=audio_s,
            request_id=request[ID_KEY],
            arrived_at=arrived_at,
            deadline_at=arrived_at + deadline_s(request, self._settings.default_deadline_s),
            tenant=request[TENANT],
            client_retries=client_retries(request),
            trace_headers={name: request.headers[name] for name in TRACE_HEADERS if name in request.headers},
        )

    @contextmanager
    def _noted(self, request: web.Request) -> Iterator[Story]:
        """Note in ledger, metrics and access log how the request ended, however it ends."""
        story = Story(arrived_at=time.monotonic())
        self._status.open_requests += 1
        try:
            yield story
        except FleetError as error:
            story.fail(error)
            raise
        except (asyncio.CancelledError, ConnectionError):
            story.hung_up()
            raise
        finally:
            self._status.open_requests -= 1
            self._note(request, story)

    def _note(self, request: web.Request, story: Story) -> None:
        finished = story.finished(time.monotonic(), tenant=request[TENANT])
        self._ledger.note(finished)
        self._metrics.finished(finished)
        if story.error is not None and finished.attempts == 0:
            self._metrics.rejected(story.error.code, story.error.retry_after_s)
        extra = finished.for_log()
        access.info("%s %s %d", request.method, request.path, finished.status, extra=extra)

    def _received(self, size_bytes: int) -> None:
        self._ledger.bytes_in += size_bytes
        self._metrics.received(size_bytes)

    # what is there, and how it is

    async def list_models(self, _: web.Request) -> web.Response:
        """GET /v1/models."""
        return json_answer(models.listed(self._models()))

    async def get_model(self, request: web.Request) -> web.Response:
        """GET /v1/models/{id}; ids may contain slashes, plain or as %2F."""
        name = request.match_info["id"].rstrip("/")
        models.resolve(name, self._models(), accepts_any=self._is_scripted)
        return json_answer(models.described(name))

    async def delete_model(self, request: web.Request) -> web.Response:
        """DELETE /v1/models/{id}: nobody may, but the scripted engine plays along for other people's test-suites."""
        if not self._is_scripted:
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
            "models": self._models(),
            "note": next((w.report.note for w in self._floor.pool if w.report and w.report.note), None),
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
        body = generate_latest(self._metrics.registry)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})

    def _models(self) -> list[str]:
        reports = [worker.report for worker in self._floor.pool if worker.report is not None]
        return list(dict.fromkeys(report.model for report in reports))

    @property
    def _is_scripted(self) -> bool:
        return any(worker.report is not None and worker.report.is_scripted for worker in self._floor.pool)
