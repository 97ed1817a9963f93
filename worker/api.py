"""The worker's HTTP surface: the same public API as the router's, and what the router asks a worker."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Iterable
from contextlib import aclosing
from typing import Literal

from aiohttp import web

from fleet import models, render, trace
from fleet.errors import FleetError, MethodNotAllowed, RequestTimeout, Unavailable
from fleet.fields import TranscriptionRequest, parse_request
from fleet.forms import ASR, INFERENCE, PLAIN, TRANSCRIPTIONS, TRANSLATIONS, FormKind
from fleet.web import Handler, add, error_response, json_answer
from fleet.wire import BUSY, LOAD, ROUTER, WORKER, Tier, Transcript
from worker import forms, stream
from worker.decoding import decode_options, ignored
from worker.door import Door, Visit
from worker.gate import Admission
from worker.headers import describe, patience_s, tier_of
from worker.lifecycle import Lifecycle
from worker.metrics import WorkerMetrics
from worker.report import Reporter
from worker.settings import WorkerSettings
from worker.upload import Upload, check_head, receive
from worker.window import DecodeOptions

MB = 1_000_000
LAST_WORDS_S = 5.0  # for an answer that was begun in time
VISIT = web.RequestKey("visit", Visit)

Task = Literal["transcribe", "translate"]


class Api:
    """Handlers; everything they work with comes in through the constructor."""

    def __init__(
        self,
        *,
        settings: WorkerSettings,
        lifecycle: Lifecycle,
        door: Door,
        reporter: Reporter,
        metrics: WorkerMetrics,
    ) -> None:
        self._settings, self._lifecycle, self._door = settings, lifecycle, door
        self._reporter, self._metrics = reporter, metrics

    def register(self, app: web.Application) -> None:
        """Add the routes, the accounting, and the headers that every answer has."""
        router, expect = app.router, self._expect
        add(router, "POST", "/v1/audio/transcriptions", self.transcriptions, expect=expect)
        add(router, "POST", "/v1/audio/translations", self.translations, expect=expect)
        add(router, "POST", "/transcribe", self.plain_form, expect=expect)
        add(router, "POST", "/asr", self.asr_form, expect=expect)
        add(router, "POST", "/inference", self.inference_form, expect=expect)
        add(router, "GET", "/v1/models", self.models, head=True)
        add(router, "GET", "/v1/models/{id:.+}", self.model)
        add(router, "DELETE", "/v1/models/{id:.+}", self.delete_model)
        add(router, "GET", "/health", self.health, head=True)
        add(router, "GET", "/healthz", self.alive, head=True)
        add(router, "GET", "/readyz", self.ready, head=True)
        add(router, "GET", "/load", self.load)
        add(router, "GET", "/metrics", self.metrics_page, head=True)
        app.middlewares.append(self._account)
        app.on_response_prepare.append(self._stamp)

    async def transcriptions(self, request: web.Request) -> web.StreamResponse:
        """`POST /v1/audio/transcriptions`."""
        return await self._openai(request, TRANSCRIPTIONS)

    async def translations(self, request: web.Request) -> web.StreamResponse:
        """`POST /v1/audio/translations`."""
        return await self._openai(request, TRANSLATIONS)

    async def inference_form(self, request: web.Request) -> web.StreamResponse:
        """`POST /inference`: answered as OpenAI's route is."""
        return await self._openai(request, INFERENCE)

    async def plain_form(self, request: web.Request) -> web.StreamResponse:
        """`POST /transcribe`."""
        visit = self._visit(request)
        with self._door.enter(visit), await self._receive(request, visit, PLAIN.file_names) as upload:
            wanted = self._parse(PLAIN.fields(upload.form.fields, request.query), "transcribe")
            transcript = await self._whole(visit, upload, wanted)
            return json_answer(forms.plain_answer(transcript, visit.progress, time.monotonic() - visit.began))

    async def asr_form(self, request: web.Request) -> web.StreamResponse:
        """`POST /asr`."""
        visit = self._visit(request)
        with self._door.enter(visit), await self._receive(request, visit, ASR.file_names) as upload:
            wanted = self._parse(ASR.fields((), request.query), "transcribe")
            transcript = await self._whole(visit, upload, wanted)
            body, content_type = forms.asr_answer(transcript, request.query.get("output", "txt"), wanted)
            return web.Response(body=body, headers={"Content-Type": content_type})

    async def models(self, request: web.Request) -> web.Response:
        """`GET /v1/models`."""
        return json_answer(models.listed([self._settings.model]))

    async def model(self, request: web.Request) -> web.Response:
        """`GET /v1/models/{id}`."""
        name = request.match_info["id"].rstrip("/")
        models.resolve(name, [self._settings.model], accepts_any=self._is_scripted)
        return json_answer(models.described(name))

    async def delete_model(self, request: web.Request) -> web.Response:
        """Nothing can be deleted; the scripted engine plays along, for other people's test-suites."""
        if not self._is_scripted:
            raise MethodNotAllowed
        return json_answer({"id": request.match_info["id"].rstrip("/"), "object": "model", "deleted": True})

    async def health(self, request: web.Request) -> web.Response:
        """`GET /health`."""
        return json_answer(self._reporter.health(), 503 if self._lifecycle.refusal() else 200)

    async def alive(self, request: web.Request) -> web.Response:
        """`GET /healthz`: the event loop turns."""
        return json_answer({"status": "alive"})

    async def ready(self, request: web.Request) -> web.Response:
        """`GET /readyz`: loaded, warmed up, not draining."""
        refusal = self._lifecycle.refusal()
        if refusal is not None:
            return self._busy(refusal)
        return json_answer({"status": "ready"})

    async def load(self, request: web.Request) -> web.Response:
        """`GET /load`."""
        return json_answer(self._reporter.load(request.headers.get(ROUTER, "")).to_json())

    async def metrics_page(self, request: web.Request) -> web.Response:
        """`GET /metrics`."""
        return web.Response(body=self._metrics.page(), headers={"Content-Type": "text/plain; version=0.0.4"})

    async def _openai(self, request: web.Request, kind: FormKind) -> web.StreamResponse:
        visit = self._visit(request)
        with self._door.enter(visit), await self._receive(request, visit, kind.file_names) as upload:
            wanted = self._parse(kind.fields(upload.form.fields, request.query), kind.task)
            if wanted.streams:
                return await self._stream(request, visit, upload, wanted)
            transcript = await self._whole(visit, upload, wanted)
            body, content_type = render.render(transcript, wanted)
            return web.Response(body=body, headers={"Content-Type": content_type})

    def _visit(self, request: web.Request) -> Visit:
        """The request as its headers tell it; what certainly will be refused is refused before its body is read."""
        admission = Admission(tier_of(request.headers), 0.0, request.headers.get(ROUTER, ""))
        patience = patience_s(request.headers, self._settings.request_timeout_s)
        deadline = time.monotonic() + patience
        visit = request[VISIT] = Visit(admission=admission, deadline=deadline, span=trace.of(request))
        return visit

    async def _receive(self, request: web.Request, visit: Visit, names: Collection[str]) -> Upload:
        """The body, within the caller's patience."""
        try:
            async with asyncio.timeout(visit.deadline - time.monotonic()):
                upload = await receive(
                    request,
                    file_bytes_max=int(self._settings.max_upload_mb * MB),
                    within_s=self._settings.body_timeout_s,
                    file_names=names,
                )
        except TimeoutError as error:
            raise RequestTimeout from error
        self._door.weigh(visit, upload.size_bytes)
        return upload

    def _parse(self, fields: Iterable[tuple[str, str]], task: Task) -> TranscriptionRequest:
        wanted = parse_request(
            fields, task=task, is_strict=self._settings.strict_fields, accepts_any_language=self._is_scripted
        )
        models.resolve(wanted.model, [self._settings.model], accepts_any=self._is_scripted)
        return wanted

    async def _whole(self, visit: Visit, upload: Upload, wanted: TranscriptionRequest) -> Transcript:
        """Every segment, then the transcript."""
        options = self._options(visit, wanted)
        async with aclosing(self._door.segments(upload.file, options, visit)) as segments:
            async for _ in segments:
                pass
        return visit.progress.transcript(self._settings.model)

    async def _stream(
        self, request: web.Request, visit: Visit, upload: Upload, wanted: TranscriptionRequest
    ) -> web.StreamResponse:
        options = self._options(visit, wanted)
        response = web.StreamResponse(headers=render.SSE_HEADERS)
        await response.prepare(request)
        try:
            async with (
                asyncio.timeout(visit.deadline + LAST_WORDS_S - time.monotonic()),
                aclosing(self._door.segments(upload.file, options, visit)) as segments,
            ):
                visit.error = await stream.send(
                    response, segments, wanted, lambda: visit.progress.transcript(self._settings.model)
                )
        except TimeoutError as error:  # work ends at the deadline: it is the caller, who reads nothing
            if request.transport is not None:
                request.transport.abort()
            raise ConnectionResetError from error
        return response

    def _options(self, visit: Visit, wanted: TranscriptionRequest) -> DecodeOptions:
        """How to decode, now that the form is read and the model known."""
        if self._reporter.facts is None:
            raise self._lifecycle.refusal() or Unavailable()
        if wanted.tier is Tier.DEFERRED:
            visit.admission.tier = Tier.DEFERRED
        visit.is_raw = wanted.is_raw
        visit.ignored = ignored(wanted, self._reporter.facts)
        return decode_options(wanted, self._settings, self._reporter.facts)

    @web.middleware
    async def _account(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Count every transcription once, and mark refusals as busy rather than broken."""
        outcome = "internal_error"
        try:
            response = await handler(request)
            error = request[VISIT].error if VISIT in request else None
            outcome = error.code if error else "ok"
        except FleetError as error:
            outcome = error.code
            response = self._busy(error) if isinstance(error, Unavailable) else error_response(error)
        except (asyncio.CancelledError, ConnectionResetError):
            outcome = "cancelled"
            raise
        finally:
            if VISIT in request:
                self._door.count(request[VISIT], outcome)
        return response

    def _busy(self, refusal: Unavailable) -> web.Response:
        response = error_response(refusal)
        response.headers[BUSY] = "1"
        return response

    async def _expect(self, request: web.Request) -> web.StreamResponse | None:
        """`Expect: 100-continue`: say no before the body is sent, where that is certain."""
        if request.headers.get("Expect", "").lower() != "100-continue":
            raise web.HTTPExpectationFailed
        try:
            check_head(request, int(self._settings.max_upload_mb * MB))
            self._door.check(tier_of(request.headers), request.headers.get(ROUTER, ""))
        except FleetError as refusal:
            response = self._busy(refusal) if isinstance(refusal, Unavailable) else error_response(refusal)
            response.force_close()
            return response
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # the answer has not begun
        return None

    async def _stamp(self, request: web.Request, response: web.StreamResponse) -> None:
        """The X-Fleet-* headers."""
        response.headers[WORKER] = self._settings.name
        response.headers[LOAD] = self._reporter.load(request.headers.get(ROUTER, "")).to_header()
        if VISIT in request:
            describe(request[VISIT], response.headers, time.monotonic())

    @property
    def _is_scripted(self) -> bool:
        return self._settings.scripted_s is not None
