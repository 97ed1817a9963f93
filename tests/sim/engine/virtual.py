"""
Virtual time for shipped code: an event loop that jumps to the next timer instead of waiting for it.

`asyncio` asks its selector to wait until the next timer is due; here the selector moves the clock by that much and
returns at once. What runs on the loop is the real thing (dispatch, probe, timeouts, cancellation), an hour of it in
seconds, and the same every time.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from router import dispatch, probe

T = TypeVar("T")

ON_THE_CLOCK = (dispatch, probe)  # the shipped files that read time.monotonic on the simulated path


class Stuck(RuntimeError):
    """Everybody waits and no timer is set: in real life this would hang for ever."""


class Clock:
    """Stands where a module had `time`."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        """Seconds since the simulation began."""
        return self.now


class _Jump(selectors.SelectSelector):
    """Waits by moving the clock."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise Stuck("nothing is left to happen")
        self._clock.now += max(0.0, timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """asyncio's own loop on a clock of its own."""

    def __init__(self, clock: Clock) -> None:
        self._virtual = clock
        super().__init__(_Jump(clock))

    def time(self) -> float:
        return self._virtual.now


def simulate(story: Callable[[Clock], Coroutine[Any, Any, T]]) -> T:
    """Run `story(clock)` to its end in virtual time."""
    clock = Clock()
    with _clock_in_place(clock), asyncio.Runner(loop_factory=lambda: VirtualLoop(clock)) as runner:
        return runner.run(story(clock))


@contextmanager
def _clock_in_place(clock: Clock) -> Iterator[None]:
    before: Mapping[Any, Any] = {module: vars(module)["time"] for module in ON_THE_CLOCK}
    for module in ON_THE_CLOCK:
        vars(module)["time"] = clock
    try:
        yield
    finally:
        for module, time in before.items():
            vars(module)["time"] = time
