"""
The one way into the model: admission, decoding, segments, accounting.

HTTP calls it, and so will every later door. It knows nothing of HTTP.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from typing import IO

from fleet.errors import DeadlineExceeded, FleetError
from fleet.wire import Segment, Tier
from worker.gate import Admission, Gate
from worker.metrics import WorkerMetrics
from worker.report import Reporter
from worker.transcribe import Progress, Transcriber
from worker.window import DecodeOptions


@dataclass(slots=True, kw_only=True)
class Visit:
    """One request: where it stands in the gate, and what is known of its clip."""

    admission: Admission
    deadline: float  # on time.monotonic's clock
    error: FleetError | None = None  # what ended a stream that had begun
    progress: Progress = field(default_factory=Progress)
    began: float = field(default_factory=time.monotonic)
    queue_s: float = 0.0


class Door:
    """Puts gate, transcriber and accounting in order around one request."""

    def __init__(self, gate: Gate, transcriber: Transcriber, reporter: Reporter, metrics: WorkerMetrics) -> None:
        self._gate, self._transcriber, self._reporter, self._metrics = gate, transcriber, reporter, metrics

    def check(self, tier: Tier, router: str) -> None:
        """Raise at once what entering would raise."""
        self._gate.check(tier, may_wait=not router)

    @contextmanager
    def enter(self, visit: Visit) -> Iterator[None]:
        """Hold a place for as long as the block runs; raises Unavailable at once when there is none."""
        with self._gate.enter(visit.admission):
            yield

    def weigh(self, visit: Visit, size_bytes: int) -> None:
        """The body is here: guess what it will cost, until its length is known."""
        visit.admission.work_s = self._reporter.guess_s(size_bytes)

    async def segments(self, source: IO[bytes], options: DecodeOptions, visit: Visit) -> AsyncGenerator[Segment, None]:
        """Wait for the slot, decode, transcribe; raises DeadlineExceeded when the caller's time is up."""
        work = self._work(source, options, visit)
        async with aclosing(work):
            while True:
                try:
                    async with asyncio.timeout(visit.deadline - time.monotonic()):
                        segment = await anext(work, None)
                except TimeoutError as error:
                    raise DeadlineExceeded from error
                if segment is None:
                    return
                yield segment

    def count(self, visit: Visit, code: str) -> None:
        """One outcome for every request: `ok`, an error's code, or `cancelled`."""
        self._metrics.requests.labels(code).inc()
        self._metrics.request.observe(time.monotonic() - visit.began)

    async def _work(self, source: IO[bytes], options: DecodeOptions, visit: Visit) -> AsyncGenerator[Segment, None]:
        waiting = time.monotonic()
        await self._gate.turn(visit.admission)
        started = time.monotonic()
        visit.queue_s = started - waiting
        self._metrics.wait.observe(visit.queue_s)
        clip = await self._transcriber.decode(source, visit.progress)
        visit.admission.work_s = self._reporter.work_s(clip.duration_s)
        async with aclosing(self._transcriber.segments(clip, options, visit.progress)) as segments:
            async for segment in segments:
                yield segment
        compute_s = time.monotonic() - started
        self._reporter.learn(clip.duration_s, compute_s)
        self._metrics.audio.inc(clip.duration_s)
        self._metrics.decode.observe(visit.progress.decode_s)
        self._metrics.engine.observe(compute_s - visit.progress.decode_s)
