"""The worker's HTTP surface: the same public API as the router's, and what the router asks a worker."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Collection, Iterable, Mapping
from contextlib import aclosing
from dataclasses import replace
from pathlib import PurePath
from typing import Any, Literal

from aiohttp import web

from fleet import render
from fleet.errors import DeadlineExceeded, FleetError, MethodNotAllowed, NotFound, RequestTimeout, Unavailable
from fleet.fields import TranscriptionRequest, parse_request
from fleet.web import add, error_response, json_answer
from fleet.wire import (
    ATTEMPTS,
    BUSY,
    CACHE,
    DEADLINE_MS,
    DURATION,
    LOAD,
    QUEUE_MS,
    ROUTER,
    TIER,
    WARNINGS,
    WORKER,
    Tier,
    Transcript,
)
from worker import forms
from worker.decoding import decode_options
from worker.door import Door, Visit
from worker.gate import Admission, Gate
from worker.lifecycle import Lifecycle
from worker.metrics import WorkerMetrics
from worker.report import Reporter
from worker.settings import WorkerSettings
from worker.upload import Upload, receive
from worker.window import DecodeOptions

ALIASES = ("whisper-1", "default", "gpt-4o-transcribe", "gpt-4o-mini-transcribe", "gpt-transcribe")
VISIT = web.RequestKey("visit", Visit)

Task = Literal["transcribe", "translate"]


class Api:
    """Handlers; everything they work with comes in through the constructor."""

    def __init__(
        self,
        *,
        settings: WorkerSettings,
        lifecycle: Lifecycle,
        gate: Gate,
        door: Door,
        reporter: Reporter,
        metrics: WorkerMetrics,
    ) -> None:
        self._settings, self._lifecycle, self._gate = settings, lifecycle, gate
        self._door, self._reporter, self._metrics = door, reporter, metrics

    def register(self, app: web.Application) -> None:
        """Add the routes and the headers that every answer has."""
        router, expect = app.router, self._expect
        add(router, "POST", "/v1/audio/transcriptions", self.transcriptions, expect=expect)
        add(router, "POST", "/v1/audio/translations", self.translations, expect=expect)
        add(router, "POST", "/transcribe", self.plain_form, expect=expect)
        add(router, "POST", "/asr", self.asr_form, expect=expect)
        add(router, "GET", "/v1/models", self.models)
        add(router, "GET", "/v1/models/{id:.+}", self.model)
        add(router, "DELETE", "/v1/models/{id:.+}", self.delete_model)
        add(router, "GET", "/health", self.health)
        add(router, "GET", "/healthz", self.alive)
        add(router, "GET", "/readyz", self.ready)
        add(router, "GET", "/load", self.load)
        add(router, "GET", "/metrics", self.metrics_page)
        app.on_response_prepare.append(self._stamp)

    async def transcriptions(self, request: web.Request) -> web.StreamResponse:
        """`POST /v1/audio/transcriptions`."""
        return await self._openai(request, "transcribe")

    async def translations(self, request: web.Request) -> web.StreamResponse:
        """`POST /v1/audio/translations`."""
        return await self._openai(request, "translate")

    async def plain_form(self, request: web.Request) -> web.StreamResponse:
        """`POST /transcribe`."""
        began = time.monotonic()
        with await self._receive(request, forms.PLAIN_FILES) as upload:
            wanted = self._parse(forms.plain_fields(upload.form.fields, request.query), "transcribe")
            transcript = await self._whole(request, upload, wanted)
            return json_answer(forms.plain_answer(transcript, request[VISIT].progress, time.monotonic() - began))

    async def asr_form(self, request: web.Request) -> web.StreamResponse:
        """`POST /asr`."""
        with await self._receive(request, forms.ASR_FILES) as upload:
            wanted = self._parse(forms.asr_fields(request.query), "transcribe")
            transcript = await self._whole(request, upload, wanted)
            body, content_type = forms.asr_answer(transcript, request.query.get("output", "txt"), wanted)
            return web.Response(body=body, headers={"Content-Type": content_type})

    async def models(self, request: web.Request) -> web.Response:
        """`GET /v1/models`."""
        names = dict.fromkeys((self._settings.model, ALIASES[0]))
        return json_answer({"object": "list", "data": [_model_json(name) for name in names]})

    async def model(self, request: web.Request) -> web.Response:
        """`GET /v1/models/{id}`."""
        name = request.match_info["id"].rstrip("/")
        if name not in self._model_names() and not self._is_scripted:
            raise _no_model()
        return json_answer(_model_json(name))

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

    async def _openai(self, request: web.Request, task: Task) -> web.StreamResponse:
        with await self._receive(request, ("file",)) as upload:
            wanted = self._parse(upload.form.fields, task)
            if wanted.streams:
                return await self._stream(request, upload, wanted)
            transcript = await self._whole(request, upload, wanted)
            body, content_type = render.render(transcript, wanted)
            return web.Response(body=body, headers={"Content-Type": content_type})

    async def _receive(self, request: web.Request, names: Collection[str]) -> Upload:
        """Refuse for certain before the upload costs anything, then take it."""
        request[VISIT] = Visit(
            admission=Admission(tier_of(request.headers), 0.0, request.headers.get(ROUTER, "")),
            deadline=time.monotonic() + timeout_s(request.headers, self._settings.request_timeout_s),
        )
        try:
            self._gate.check(request[VISIT].admission.tier)
            async with asyncio.timeout_at(_loop_time(request[VISIT].deadline)):
                return await receive(
                    request, file_bytes_max=int(self._settings.max_upload_mb * 1_000_000), file_names=names
                )
        except TimeoutError as error:
            raise RequestTimeout from error

    def _parse(self, fields: Iterable[tuple[str, str]], task: Task) -> TranscriptionRequest:
        wanted = parse_request(
            fields, task=task, is_strict=self._settings.strict_fields, accepts_any_language=self._is_scripted
        )
        if wanted.model is not None and wanted.model not in self._model_names() and not self._is_scripted:
            raise _no_model()
        return wanted

    async def _whole(self, request: web.Request, upload: Upload, wanted: TranscriptionRequest) -> Transcript:
        """Every segment, within the deadline."""
        visit = request[VISIT]
        options = self._enter(visit, upload, wanted)
        with self._gate.enter(visit.admission):
            try:
                async with asyncio.timeout_at(_loop_time(visit.deadline)):
                    async with aclosing(self._door.segments(upload.file, options, visit)) as segments:
                        async for _ in segments:
                            pass
            except TimeoutError as error:
                raise DeadlineExceeded from error
        return visit.progress.transcript(self._settings.model)

    async def _stream(self, request: web.Request, upload: Upload, wanted: TranscriptionRequest) -> web.StreamResponse:
        """Server-sent events: a comment at once, segments as they come, and always an end that says how it went."""
        visit = request[VISIT]
        options = self._enter(visit, upload, wanted)
        response = web.StreamResponse(headers=render.SSE_HEADERS)
        with self._gate.enter(visit.admission):
            await response.prepare(request)
            await response.write(render.HEARTBEAT)
            async with asyncio.TaskGroup() as group:
                beat = group.create_task(_beat(response))
                try:
                    await self._pour(response, upload, options, wanted, visit)
                except FleetError as error:
                    visit.error = error
                    await response.write(render.error_event(error))
                finally:
                    beat.cancel()
        await response.write_eof()
        return response

    async def _pour(
        self,
        response: web.StreamResponse,
        upload: Upload,
        options: DecodeOptions,
        wanted: TranscriptionRequest,
        visit: Visit,
    ) -> None:
        try:
            async with asyncio.timeout_at(_loop_time(visit.deadline)):
                async with aclosing(self._door.segments(upload.file, options, visit)) as segments:
                    async for segment in segments:
                        await response.write(render.delta_event(segment, wanted, is_first=segment.id == 0))
        except TimeoutError as error:
            raise DeadlineExceeded from error
        await response.write(render.done_event(visit.progress.transcript(self._settings.model), wanted))

    def _enter(self, visit: Visit, upload: Upload, wanted: TranscriptionRequest) -> DecodeOptions:
        """What the gate and the engine must know, now that the form is read."""
        if self._reporter.facts is None:
            raise self._lifecycle.refusal() or Unavailable()
        if wanted.tier is Tier.DEFERRED:
            visit.admission.tier = Tier.DEFERRED
        visit.admission.work_s = self._reporter.guess_s(upload.size_bytes)
        return decode_options(wanted, self._settings, self._reporter.facts)

    @web.middleware
    async def account(self, request: web.Request, handler: Any) -> web.StreamResponse:
        """Count every transcription once, and mark refusals as busy rather than broken."""
        error: FleetError | None = None
        try:
            response: web.StreamResponse = await handler(request)
            error = request[VISIT].error if VISIT in request else None
        except FleetError as raised:
            error = raised
            response = self._busy(raised) if isinstance(raised, Unavailable) else error_response(raised)
        except asyncio.CancelledError:
            if VISIT in request:
                self._door.count(request[VISIT], "cancelled")
            raise
        except web.HTTPException:
            raise
        except Exception:
            if VISIT in request:
                self._door.count(request[VISIT], "internal_error")
            raise
        if VISIT in request:
            self._door.count(request[VISIT], "ok" if error is None else error.code)
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
            self._gate.check(tier_of(request.headers))
        except Unavailable as refusal:
            response = self._busy(refusal)
            response.force_close()
            return response
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # the answer has not begun
        return None

    async def _stamp(self, request: web.Request, response: web.StreamResponse) -> None:
        """The X-Fleet-* headers."""
        headers = response.headers
        headers[WORKER] = self._settings.name
        headers[LOAD] = self._reporter.load(request.headers.get(ROUTER, "")).to_header()
        if VISIT not in request:
            return
        visit = request[VISIT]
        headers.setdefault(ATTEMPTS, "1")
        headers.setdefault(CACHE, "miss")
        headers[QUEUE_MS] = str(round(visit.queue_s * 1000))
        if visit.progress.duration_s:
            headers[DURATION] = f"{visit.progress.duration_s:.3f}"
        if visit.progress.warnings:
            headers[WARNINGS] = ", ".join(visit.progress.warnings)

    @property
    def _is_scripted(self) -> bool:
        return self._settings.scripted_s is not None

    def _model_names(self) -> tuple[str, ...]:
        """The loaded model first, then what clients call any model."""
        name = self._settings.model
        return tuple(dict.fromkeys((name, PurePath(name).name, *ALIASES)))


def tier_of(headers: Mapping[str, str]) -> Tier:
    """Deferred only where it says so."""
    return Tier.DEFERRED if headers.get(TIER, "").strip().lower() == Tier.DEFERRED else Tier.REALTIME


def timeout_s(headers: Mapping[str, str], default_s: float) -> float:
    """How long the caller will wait: the router's word, else the caller's, else the setting."""
    for name, unit_s in ((DEADLINE_MS, 0.001), ("X-Request-Timeout", 1.0), ("x-stainless-read-timeout", 1.0)):
        try:
            seconds = float(headers.get(name, "")) * unit_s
        except ValueError:
            continue
        if math.isfinite(seconds) and seconds > 0:
            return min(seconds, 86_400.0)
    return default_s


def _loop_time(monotonic: float) -> float:
    return asyncio.get_running_loop().time() + monotonic - time.monotonic()


def _model_json(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "whisper-fleet"}


def _no_model() -> NotFound:
    return NotFound(
        "This model is not served here; GET /v1/models lists those that are.", code="model_not_found", param="model"
    )


async def _beat(response: web.StreamResponse) -> None:
    while True:
        await asyncio.sleep(render.HEARTBEAT_S)
        await response.write(render.HEARTBEAT)
