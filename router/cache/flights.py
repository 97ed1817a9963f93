"""
Equal requests at the same time share one run.

The first one leads: it runs as it would alone. The others follow: each waits, for as long as its own caller does, for
what the leader brings. A leader that goes without an answer (its caller hung up, its time was over) is followed by the
next, who runs with a body of its own. So nobody depends on a stranger's patience, and no run is without a caller.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Iterator
from contextlib import contextmanager

from fleet.errors import DeadlineExceeded, FleetError, Unavailable
from router.cache.answer import Answer

ITS_OWN = (DeadlineExceeded, Unavailable)  # errors that say something of one caller's time, or of one moment


class Flight:
    """One run that others may wait for. State: what came of it."""

    def __init__(self) -> None:
        self._is_over = asyncio.Event()
        self.answer: Answer | None = None
        self.error: FleetError | None = None

    def end(self) -> None:
        """Tell who waits."""
        self._is_over.set()

    async def landed(self) -> Answer | None:
        """The leader's answer, when it comes; None if it left without. Raises what the audio itself was refused for."""
        await self._is_over.wait()
        if self.error is not None:
            raise copy.copy(self.error)
        return self.answer


class Flights:
    """All of them, by key. `followers_max` is how many may wait in all; more run by themselves."""

    def __init__(self, followers_max: int) -> None:
        self._followers_max = followers_max
        self._by_key: dict[str, Flight] = {}
        self.followers = 0

    def find(self, key: str) -> Flight | None:
        """The run to follow, if there is one and room to wait."""
        return self._by_key.get(key) if self.followers < self._followers_max else None

    async def follow(self, flight: Flight) -> Answer | None:
        """Wait for it; the caller's deadline stands outside."""
        self.followers += 1
        try:
            return await flight.landed()
        finally:
            self.followers -= 1

    @contextmanager
    def lead(self, key: str) -> Iterator[Flight]:
        """Run for whoever comes meanwhile; the block sets `answer`. Who finds another leading runs for itself alone."""
        flight = Flight()
        is_found = self._by_key.setdefault(key, flight) is flight
        try:
            yield flight
        except FleetError as error:
            if not isinstance(error, ITS_OWN):
                flight.error = error
            raise
        finally:
            if is_found:
                del self._by_key[key]
            flight.end()
