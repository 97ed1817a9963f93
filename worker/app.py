"""Builds a worker's parts and hands them to each other; the only file that does."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

from aiohttp import web

from fleet import web as fleet_web
from fleet.errors import Unavailable
from fleet.fields import TranscriptionRequest
from fleet.trace import Tracing
from fleet.wire import WorkerState
from worker import fake, memory
from worker.api import Api
from worker.batcher import Batcher
from worker.clip import AudioLimits
from worker.decoding import decode_options
from worker.door import Door
from worker.gate import Gate
from worker.lifecycle import Lifecycle
from worker.metrics import WorkerMetrics
from worker.report import Reporter
from worker.sandbox import Sandbox
from worker.settings import WorkerSettings
from worker.token import Token
from worker.transcribe import Transcriber
from worker.window import DecodeOptions, Engine, EngineFacts


class Worker:
    """One worker process: its application, its model, and how both stop."""

    def __init__(self, settings: WorkerSettings, tracing: Tracing | None = None) -> None:
        self._settings = settings
        self._tracing = tracing
        self._metrics = WorkerMetrics()
        self._lifecycle = Lifecycle()
        self._engine = build_engine(settings)
        self._gate = Gate(
            slots=settings.slots(self._engine.device),
            queue_limit=settings.max_queue_size,
            reserved_slots=settings.realtime_reserved_slots,
            fails_fast=settings.fail_fast_when_busy,
            fixed_retry_after_s=settings.busy_retry_after_s,
            refusal=self._lifecycle.refusal,
        )
        self._reporter = Reporter(settings, self._gate, self._lifecycle)
        is_scripted = settings.scripted_s is not None
        self._batcher = Batcher(
            self._engine,
            windows_per_call=1 if is_scripted else settings.windows_per_call(self._engine.device),
            threads=self._gate.slots if is_scripted else 1,
            on_broken=self._lifecycle.on_broken,
            on_call=self._metrics.batch.observe,
        )
        self._sandbox = None if is_scripted else Sandbox(on_death=self._metrics.decode_deaths.inc)
        self._transcriber = Transcriber(
            self._engine,
            self._batcher,
            self._sandbox.decode if self._sandbox else fake.decode,
            limits=AudioLimits(min_s=settings.min_audio_s, max_s=settings.max_audio_s),
            threads=settings.decode_threads,
        )
        self.app = self._application()

    def loops(self) -> Sequence[Coroutine[Any, Any, None]]:
        """Loading the model, and then watching over it and over the memory that it takes."""
        return [
            self._lifecycle.run(self._engine, self._batcher, self._default_options, self._reporter.on_loaded),
            memory.give_back(lambda: not self._gate.in_flight),
            memory.watch(self._settings.max_rss_mb * 1e6, lambda: not self._gate.entered),
        ]

    async def drain(self) -> None:
        """Refuse what is new, finish what is in the gate, or give it up after DRAIN_TIMEOUT_S."""
        self._lifecycle.move(WorkerState.DRAINING)
        try:
            async with asyncio.timeout(self._settings.drain_timeout_s):
                await self._gate.emptied()
        except TimeoutError:
            self._lifecycle.move(WorkerState.STOPPED, why="requests were given up after DRAIN_TIMEOUT_S")

    def _default_options(self, facts: EngineFacts) -> DecodeOptions:
        return decode_options(TranscriptionRequest(), self._settings, facts)

    def _application(self) -> web.Application:
        api = Api(
            settings=self._settings,
            lifecycle=self._lifecycle,
            door=Door(self._gate, self._transcriber, self._reporter, self._metrics),
            reporter=self._reporter,
            metrics=self._metrics,
        )
        app = fleet_web.finish(web.Application())
        if self._tracing is not None:
            self._tracing.watch(app)
        app.middlewares.append(Token(self._settings.worker_token).check)
        api.register(app)
        app.on_startup.append(self._start)
        app.on_shutdown.append(self._stop)
        self._metrics.gauge("slots", "Requests at once", lambda: self._gate.slots)
        self._metrics.gauge("in_flight", "Requests that hold a slot", lambda: self._gate.in_flight)
        self._metrics.gauge("queue_depth", "Requests that wait for a slot", lambda: self._gate.queue_depth)
        self._metrics.gauge("work_seconds", "Expected compute of what is in the gate", self._gate.work_s)
        self._metrics.gauge("ready", "1 while ready", lambda: float(self._lifecycle.state is WorkerState.READY))
        return app

    async def _start(self, app: web.Application) -> None:
        if self._sandbox is not None:
            await asyncio.to_thread(self._sandbox.start)

    async def _stop(self, app: web.Application) -> None:
        """After a drain nobody is left; after a second signal or DRAIN_TIMEOUT_S whoever is gets an answer still."""
        self._gate.dismiss(self._lifecycle.refusal() or Unavailable(code="draining"))
        self._transcriber.close()
        if self._sandbox is not None:
            await asyncio.to_thread(self._sandbox.close)
        await asyncio.to_thread(self._batcher.stop)


def build_engine(settings: WorkerSettings) -> Engine:
    """The scripted engine for `fake:SECONDS`, else the real one, which takes half a second to import."""
    if settings.scripted_s is not None:
        return fake.ScriptedEngine(settings.model, *settings.scripted_s)
    from worker.engine import WhisperEngine  # noqa: PLC0415

    return WhisperEngine(settings)
