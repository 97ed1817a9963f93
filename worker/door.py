"""
The one way into the model: admission, decoding, segments, accounting.

HTTP calls it, and so will every later door. It knows nothing of HTTP.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from typing import IO

from fleet.errors import DeadlineExceeded, FleetError
from fleet.stages import Stages
from fleet.trace import Span, Untraced
from fleet.wire import Segment, Tier
from worker.gate import Admission, Gate
from worker.metrics import WorkerMetrics
from worker.report import Reporter
from worker.transcribe import Progress, Transcriber
from worker.window import DecodeOptions

access = logging.getLogger("worker.access")


@dataclass(slots=True, kw_only=True)
class Visit:
    """One request: where it stands in the gate, and what is known of its clip."""

    admission: Admission
    deadline: float  # on time.monotonic's clock
    is_raw: bool = False  # the file is bare samples
    error: FleetError | None = None  # what ended a stream that had begun
    progress: Progress = field(default_factory=Progress)
    began: float = field(default_factory=time.monotonic)
    queue_s: float = 0.0
    ignored: tuple[str, ...] = ()  # fields that mean nothing to the model
    span: Span = field(default_factory=Untraced)

    def stages(self, now: float) -> Stages:
        """Where its time went so far."""
        progress = self.progress
        return Stages(
            queue_s=self.queue_s,
            decode_s=progress.decode_s,
            encode_s=progress.encode_s,
            generate_s=progress.generate_s,
            engine_s=progress.engine_s,
            total_s=now - self.began,
        )


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
        """One outcome and one log line for every request: `ok`, an error's code, or `cancelled`."""
        stages, audio_s = visit.stages(time.monotonic()), visit.progress.duration_s
        self._metrics.ended(code, stages, audio_s)
        told = {"code": code, "audio_s": round(audio_s, 2), "took_ms": round(1000 * stages.total_s, 1)}
        access.info("transcription", extra=told | stages.for_log())

    async def _work(self, source: IO[bytes], options: DecodeOptions, visit: Visit) -> AsyncGenerator[Segment, None]:
        waiting = time.monotonic()
        with visit.span.child("queue"):
            await self._gate.turn(visit.admission)
        started = time.monotonic()
        visit.queue_s = started - waiting
        with visit.span.child("decode"):
            clip = await self._transcriber.decode(source, visit.progress, is_raw=visit.is_raw)
        visit.admission.work_s = self._reporter.work_s(clip.duration_s)
        segments = self._transcriber.segments(clip, options, visit.progress)
        with visit.span.child("engine") as span:
            async with aclosing(segments):
                async for segment in segments:
                    yield segment
            span.note(fleet_audio__s=clip.duration_s, fleet_segments=len(visit.progress.segments))
        compute_s = time.monotonic() - started
        self._reporter.learn(clip.duration_s, compute_s)
