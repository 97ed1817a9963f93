"""
Windows of several requests into one model call, turn by turn.

The jobs of all running requests stand in one line. An engine thread takes the first, fills the call with windows of
others that can share it, then with more of the same jobs, runs it, and puts the jobs that have more to do at the end
of the line. So no request waits for the whole of another one, and a cancelled request costs at most the call that is
running. The gate bounds the number of jobs; a job's windows are bounded by the longest clip.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from fleet.errors import FleetError, Unavailable
from worker.job import Job, Place
from worker.window import DecodeOptions, Engine, EngineBroken, EngineFull, Piece, Samples, Window

logger = logging.getLogger(__name__)

FINE_CALLS = 100  # full ones, after which a device that had no room may have some: one call in a hundred is lost time


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
        self._windows_per_call = self._windows_most = windows_per_call
        self._fine_calls = 0  # full ones since the device was last out of memory
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
        while self._turn():
            pass

    def _turn(self) -> bool:
        """One call; False when stopped. Nothing of it outlives it: a clip may be a gigabyte, and the next hours off."""
        call = self._next_call()
        if call is None:
            return False
        if call[0].job.options.is_sequential:
            self._step(call[0].job)
        else:
            self._call(call)
        return True

    def _next_call(self) -> list[Place] | None:
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

    def _filled(self, job: Job) -> list[Place]:
        """One window of the job whose turn it is, then windows of others, then more of the same."""
        if job.options.is_sequential:
            return [Place(job, 0, Window(0, 0, ()))]
        call = [job.take()]
        key = self._key(job, call[0].window)
        aboard = [job]
        while len(call) < self._windows_per_call and not job.must_go_alone:
            found = self._joining(aboard, key)
            if found is None:
                break
            call.append(found.take())
        return call

    def _joining(self, aboard: list[Job], key: object) -> Job | None:
        """A job whose next window fits the call: one from the line first, else one that is in the call already."""
        for job in self._line:
            if job.can_join and self._key(job, job.todo[0][1]) == key:
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

    def _call(self, call: list[Place]) -> None:
        jobs = list(dict.fromkeys(place.job for place in call))
        pieces = [Piece(place.job.samples, place.window, place.job.options) for place in call]
        began = time.monotonic()
        try:
            results = self._engine.run(pieces, lambda: self._is_stopped or all(job.is_cancelled for job in jobs))
        except BaseException as error:  # the edge of the engine's thread
            self._recover(call, jobs, error)
            return
        self._on_call(len(call))
        self._grow(len(call))
        share_s = (time.monotonic() - began) / len(call)
        # last first, so that what a window left over comes before the windows after it
        for place, result in reversed(list(zip(call, results, strict=True))):
            place.job.finish(place, replace(result, generate_s=max(0.0, share_s - result.encode_s)))
        for job in jobs:
            job.emit_complete()
        self._line_up(jobs)

    def _recover(self, call: list[Place], jobs: list[Job], error: BaseException) -> None:
        """Whose fault a failed call was shows when each request goes alone; a full device may have room for half."""
        if isinstance(error, EngineFull) and len(call) > 1:
            self._shrink(len(call) // 2, jobs)
        elif len(jobs) > 1 and not isinstance(error, EngineFull | EngineBroken):
            logger.warning("a shared model call failed: each alone now", extra=_named(jobs), exc_info=error)
            for job in jobs:
                job.must_go_alone = True
        else:
            self._fail(jobs, error)
            return
        for place in reversed(call):
            place.job.put_back(place)
        self._line_up(jobs, is_next=True)

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

    def _line_up(self, jobs: list[Job], *, is_next: bool = False) -> None:
        with self._changed:
            if self._is_stopped:
                self._give_up(jobs)
            if is_next:
                self._line.extendleft(reversed(jobs))
            else:
                self._line.extend(jobs)
            self._changed.notify(len(jobs))

    def _give_up(self, jobs: list[Job]) -> None:
        for job in jobs:
            job.emit(Unavailable("This worker was stopped. Please retry.", code="draining"))

    def _fail(self, jobs: list[Job], error: BaseException) -> None:
        """Everybody aboard gets an error of ours; the cause is logged, and never shown to a caller."""
        answer = FleetError()
        if isinstance(error, EngineFull):  # these callers may try another worker
            answer = Unavailable("This worker is out of memory. Please retry.")
        logger.error("a model call failed", exc_info=error, extra=_named(jobs))
        for job in jobs:
            job.emit(answer)
        if isinstance(error, EngineBroken):
            self._on_broken(error)

    def _shrink(self, windows: int, jobs: list[Job]) -> None:
        """The device is full: the same windows again, half as many in a call, and so are later calls for a while."""
        self._windows_per_call, self._fine_calls = windows, 0
        logger.warning("the device is out of memory", extra=_named(jobs) | {"windows_per_call": windows})

    def _grow(self, windows: int) -> None:
        """What filled the device may be gone: after many full calls that passed, larger ones are tried again."""
        if self._windows_per_call == self._windows_most or windows < self._windows_per_call:
            return
        self._fine_calls += 1
        if self._fine_calls >= FINE_CALLS:
            self._windows_per_call, self._fine_calls = min(self._windows_most, 2 * self._windows_per_call), 0


def _named(jobs: list[Job]) -> dict[str, list[str]]:
    return {"requests": [job.request_id for job in jobs]}
