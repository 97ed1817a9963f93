"""
Windows of several requests into one model call, turn by turn.

The jobs of all running requests stand in one line. An engine thread takes the first, fills the call with windows of
others that can share it, then with more of the same jobs, runs it, and puts the jobs that have more to do at the end
of the line. So no request waits for the whole of another one, and a cancelled request costs at most the call that is
running. The gate bounds the number of jobs; a job's windows are bounded by the longest clip.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from fleet import log
from fleet.errors import FleetError, Unavailable
from worker.window import DecodeOptions, Engine, EngineBroken, EngineFull, Piece, Samples, Window, WindowResult

logger = logging.getLogger(__name__)

Outcome = WindowResult | BaseException | None  # None: that was the last window


class Job:
    """
    One request on its way through the engine.

    Made on the event loop; an engine thread owns `todo` and `held` from then on. Results come out in the order of the
    windows, however the calls were put together.
    """

    def __init__(self, samples: Samples, windows: list[Window], options: DecodeOptions) -> None:
        self.samples, self.options = samples, options
        self.todo = deque(enumerate(windows))
        self.steps: Iterator[WindowResult] | None = None  # a sequential decode, instead of windows
        self.held: dict[int, list[WindowResult]] = {}  # finished, waiting for the windows before them
        self.is_cancelled = False
        self.request_id = log.request_id.get()
        self._next = 0
        self._loop = asyncio.get_running_loop()
        self._outcomes: asyncio.Queue[Outcome] = asyncio.Queue()

    def __repr__(self) -> str:
        return f"<Job {len(self.todo)} windows to do>"

    async def results(self) -> AsyncGenerator[WindowResult, None]:
        """The windows' results as they are finished; raises what the engine raised."""
        while (outcome := await self._outcomes.get()) is not None:
            if isinstance(outcome, BaseException):
                raise outcome
            yield outcome

    def emit(self, outcome: Outcome) -> None:
        """From an engine thread: hand an outcome to the event loop."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._outcomes.put_nowait, outcome)

    def take(self) -> tuple[int, Window]:
        """The next window; its index keeps its place among the results."""
        return self.todo.popleft()

    def finish(self, index: int, window: Window, result: WindowResult) -> None:
        """Keep a window's result, line up what the model left of it, and emit what is complete in order."""
        self.options = replace(self.options, language=self.options.language or result.language)
        self.held.setdefault(index, []).append(result)
        if result.resume_at is not None:
            self.todo.appendleft((index, window.rest_from(result.resume_at)))

    def emit_complete(self) -> None:
        """Emit every result that has no unfinished window before it."""
        unfinished = {index for index, _ in self.todo}
        while self._next in self.held and self._next not in unfinished:
            for result in self.held.pop(self._next):
                self.emit(result)
            self._next += 1

    @property
    def may_share(self) -> bool:
        """Whether more than one window may be under way: not until the language is known."""
        return bool(self.todo) and self.options.language is not None


class Batcher:
    """Owns the engine's threads: one for a model, as many as slots for the scripted engine, whose work is sleep."""

    def __init__(
        self,
        engine: Engine,
        *,
        windows_per_call: int,
        threads: int = 1,
        on_broken: Callable[[EngineBroken], None] = lambda error: None,
        on_call: Callable[[int], None] = lambda windows: None,
    ) -> None:
        self._engine = engine
        self._windows_per_call = windows_per_call
        self._on_broken, self._on_call = on_broken, on_call
        self._line: deque[Job] = deque()
        self._changed = threading.Condition()
        self._is_stopped = False
        self._threads = [
            threading.Thread(target=self._work, name=f"engine-{number}", daemon=True) for number in range(threads)
        ]

    def __repr__(self) -> str:
        return f"<Batcher {len(self._line)} jobs waiting>"

    def start(self) -> None:
        """Start the threads, once the engine is loaded."""
        for thread in self._threads:
            thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Give up every job, let the running call end and the threads with it. Blocks; a call that hangs is left."""
        with self._changed:
            self._is_stopped = True
            self._give_up(list(self._line))
            self._changed.notify_all()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(timeout_s)

    @contextmanager
    def run(self, samples: Samples, windows: list[Window], options: DecodeOptions) -> Iterator[Job]:
        """A job for as long as the block runs; leaving it early drops the windows that are not under way."""
        job = Job(samples, windows, options)
        try:
            self._line_up([job])
            yield job
        finally:
            job.is_cancelled = True

    def _work(self) -> None:
        while (jobs := self._next_call()) is not None:
            if len(jobs) == 1 and jobs[0][0].options.is_sequential:
                self._step(jobs[0][0])
            elif jobs:
                self._call(jobs)

    def _next_call(self) -> list[tuple[Job, int, Window]] | None:
        """The next call's windows; waits for work, None when stopped."""
        with self._changed:
            while not self._is_stopped:
                job = self._first()
                if job is not None:
                    return self._filled(job)
                self._changed.wait()
            return None

    def _first(self) -> Job | None:
        while self._line:
            job = self._line.popleft()
            if job.is_cancelled:
                continue
            if job.todo or job.options.is_sequential:
                return job
            job.emit(None)
        return None

    def _filled(self, job: Job) -> list[tuple[Job, int, Window]]:
        """One window of the job whose turn it is, then windows of others, then more of the same."""
        if job.options.is_sequential:
            return [(job, 0, Window(0, 0, ()))]
        call = [(job, *job.take())]
        key = self._key(job, call[0][2])
        aboard = [job]
        while len(call) < self._windows_per_call:
            found = self._joining(aboard, key)
            if found is None:
                break
            call.append((found, *found.take()))
        return call

    def _joining(self, aboard: list[Job], key: object) -> Job | None:
        """A job whose next window fits the call: one from the line first, else one that is in the call already."""
        for job in self._line:
            if job.is_cancelled or job.options.is_sequential or not job.todo or self._key(job, job.todo[0][1]) != key:
                continue
            self._line.remove(job)
            aboard.append(job)
            return job
        fits = (job for job in aboard if job.may_share and self._key(job, job.todo[0][1]) == key)
        return next(fits, None)

    def _key(self, job: Job, window: Window) -> object:
        try:
            return self._engine.key(Piece(job.samples, window, job.options))
        except Exception:  # what has no key shares no call: it fails alone, in `_call`, and the thread lives on
            return object()

    def _call(self, call: list[tuple[Job, int, Window]]) -> None:
        jobs = list(dict.fromkeys(job for job, _, _ in call))
        pieces = [Piece(job.samples, window, job.options) for job, _, window in call]
        began = time.monotonic()
        try:
            results = self._engine.run(pieces, lambda: self._is_stopped or all(job.is_cancelled for job in jobs))
        except BaseException as error:  # the edge of the engine's thread
            self._fail(jobs, error)
            return
        self._on_call(len(call))
        share_s = (time.monotonic() - began) / len(call)
        # last first, so that what a window left over comes before the windows after it
        for (job, index, window), result in reversed(list(zip(call, results, strict=True))):
            job.finish(index, window, replace(result, generate_s=max(0.0, share_s - result.encode_s)))
        for job in jobs:
            job.emit_complete()
        self._line_up(jobs)

    def _step(self, job: Job) -> None:
        """One segment of a sequential decode."""
        began = time.monotonic()
        try:
            if job.steps is None:
                job.steps = self._engine.sequential(job.samples, job.options)
            result = next(job.steps, None)
        except BaseException as error:  # the edge of the engine's thread
            self._fail([job], error)
            return
        job.emit(result and replace(result, generate_s=time.monotonic() - began))
        if result is not None:
            self._line_up([job])

    def _line_up(self, jobs: list[Job]) -> None:
        with self._changed:
            if self._is_stopped:
                self._give_up(jobs)
            self._line.extend(jobs)
            self._changed.notify(len(jobs))

    def _give_up(self, jobs: list[Job]) -> None:
        for job in jobs:
            job.emit(Unavailable("This worker was stopped. Please retry.", code="draining"))

    def _fail(self, jobs: list[Job], error: BaseException) -> None:
        """Everybody aboard gets an error of ours; the cause is logged, and never shown to a caller."""
        if isinstance(error, EngineFull):
            self._shrink(jobs)
            return
        logger.error("a model call failed", exc_info=error, extra={"requests": [job.request_id for job in jobs]})
        for job in jobs:
            job.emit(FleetError())
        if isinstance(error, EngineBroken):
            self._on_broken(error)

    def _shrink(self, jobs: list[Job]) -> None:
        """The device is full: these callers may try another worker, later calls here are half as large."""
        self._windows_per_call = max(1, self._windows_per_call // 2)
        aboard = [job.request_id for job in jobs]
        extra = {"windows_per_call": self._windows_per_call, "requests": aboard}
        logger.warning("the device is out of memory", extra=extra)
        for job in jobs:
            job.emit(Unavailable("This worker is out of memory. Please retry."))
