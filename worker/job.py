"""One request on its way through the engine: which windows are to do, and whose results may be told."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass, replace

from fleet import log
from worker.window import DecodeOptions, Samples, Window, WindowResult

Outcome = WindowResult | BaseException | None  # None: that was the last window


@dataclass(frozen=True, slots=True)
class Place:
    """A window's place: whose it is, and where among the results of its clip."""

    job: Job
    index: int
    window: Window


class Job:
    """
    One request on its way through the engine.

    Made on the event loop; an engine thread owns `todo` and `held` from then on. Results come out in the order of the
    windows, however the calls were put together.
    """

    def __init__(self, samples: Samples, windows: list[Window], options: DecodeOptions) -> None:
        self.samples, self.options = samples, options
        self.todo = deque(enumerate(windows))  # the index is a window's place among the results
        self.steps: Iterator[WindowResult] | None = None  # a sequential decode, instead of windows
        self.held: dict[int, list[WindowResult]] = {}  # finished, waiting for the windows before them
        self.is_cancelled = False
        self.must_go_alone = False  # a call that it shared has failed, and whose fault that was is not known
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

    def take(self) -> Place:
        """The next window."""
        return Place(self, *self.todo.popleft())

    def put_back(self, place: Place) -> None:
        """A window that was taken is the next one again."""
        self.todo.appendleft((place.index, place.window))

    def finish(self, place: Place, result: WindowResult) -> None:
        """Keep a window's result, and line up what the model left of it."""
        self.must_go_alone = False
        self.options = replace(self.options, language=self.options.language or result.language)
        self.held.setdefault(place.index, []).append(result)
        if result.resume_at is not None:
            self.todo.appendleft((place.index, place.window.rest_from(result.resume_at)))

    def emit_complete(self) -> None:
        """Emit every result that has no unfinished window before it."""
        unfinished = {index for index, _ in self.todo}
        while self._next in self.held and self._next not in unfinished:
            for result in self.held.pop(self._next):
                self.emit(result)
            self._next += 1

    @property
    def can_join(self) -> bool:
        """Whether its next window may go with others'."""
        return bool(self.todo) and not (self.is_cancelled or self.must_go_alone or self.options.is_sequential)

    @property
    def may_share(self) -> bool:
        """Whether more than one window may be under way: not until the language is known."""
        return bool(self.todo) and self.options.language is not None
