"""
So many requests at once, so many waiting, and a refusal at once for the rest.

A request takes a place when its headers are there, so that the bodies on their way are bounded too, and asks for a
slot when its body is. Slots go to whoever asked first, except that a deferred request never takes one of those that
are kept for realtime ones: it steps aside and keeps its place in the line. Every place is a scope, so that no error,
timeout or hang-up leaks a slot.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from fleet.errors import Unavailable
from fleet.wire import Tier


@dataclass(slots=True, eq=False)
class Admission:
    """One request in the gate. `work_s` is what it is expected to cost, and may be corrected while it runs."""

    tier: Tier
    work_s: float
    router: str = ""
    turn: asyncio.Future[None] | None = field(default=None, repr=False)  # done when it has a slot


class Gate:
    """The only memory of who runs and who waits; changed between awaits only."""

    def __init__(
        self,
        *,
        slots: int,
        queue_limit: int,
        reserved_slots: int = 0,
        fails_fast: bool = False,
        fixed_retry_after_s: float | None = None,
        refusal: Callable[[], Unavailable | None] = lambda: None,
    ) -> None:
        self.slots, self.queue_limit = slots, 0 if fails_fast else queue_limit
        self._reserved_slots = min(reserved_slots, slots - 1)
        self._fixed_retry_after_s = fixed_retry_after_s
        self._inside: set[Admission] = set()
        self._running: set[Admission] = set()  # of those inside
        self._waiting: list[Admission] = []  # of those inside, in the order in which they asked
        self.entered = 0  # requests that were ever let in
        self._refusal = refusal
        self._is_empty = asyncio.Event()
        self._is_empty.set()

    def __repr__(self) -> str:
        return f"<Gate {self.in_flight}/{self.slots} running, {self.queue_depth}/{self.queue_limit} waiting>"

    @property
    def in_flight(self) -> int:
        """Requests that hold a slot."""
        return len(self._running)

    @property
    def queue_depth(self) -> int:
        """Requests inside without a slot: they wait for one, or their bodies are on the way."""
        return len(self._inside) - len(self._running)

    async def emptied(self) -> None:
        """Return when nobody is inside."""
        await self._is_empty.wait()

    def work_s(self, router: str | None = None) -> float:
        """Expected seconds of compute of everything in the gate; of one router's requests, if it is named."""
        return sum(one.work_s for one in self._inside if router is None or one.router == router)

    def requests_of(self, router: str) -> int:
        """How many requests in the gate came from this router."""
        return sum(one.router == router for one in self._inside)

    def dismiss(self, why: Unavailable) -> None:
        """Send away everybody who still waits."""
        for one in self._waiting:
            if one.turn is not None and not one.turn.done():
                one.turn.set_exception(why)

    def check(self, tier: Tier, *, may_wait: bool = True) -> None:
        """
        Raise what `enter` would raise right now; costs nothing and holds nothing.

        What a router sends may not wait here: the router has a queue in which it is better placed.
        """
        refusal = self._refusal()
        if refusal is not None:
            raise refusal
        if len(self._inside) >= self.slots - self._kept(tier) + self.queue_limit * may_wait:
            raise Unavailable(retry_after_s=self.retry_after_s())

    @contextmanager
    def enter(self, admission: Admission) -> Iterator[None]:
        """Hold a place for exactly as long as the block runs; raises Unavailable at once when there is none."""
        self.check(admission.tier, may_wait=not admission.router)
        self._inside.add(admission)
        self.entered += 1
        self._is_empty.clear()
        try:
            yield
        finally:
            self._inside.discard(admission)
            self._running.discard(admission)
            if admission in self._waiting:
                self._waiting.remove(admission)
            self._let_in()
            if not self._inside:
                self._is_empty.set()

    async def turn(self, admission: Admission) -> None:
        """Wait for a slot, which is held until the place is left; those who asked before go before."""
        if self._may_start(admission.tier):
            self._running.add(admission)
            return
        admission.turn = asyncio.get_running_loop().create_future()
        self._waiting.append(admission)
        await admission.turn

    def retry_after_s(self) -> float:
        """When a slot and the queue before it should be free again, at the rate at which work is done."""
        if self._fixed_retry_after_s is not None:
            return self._fixed_retry_after_s
        return self.work_s() / self.slots

    def _may_start(self, tier: Tier) -> bool:
        """Whether a newcomer of this tier finds a slot; those who wait and could take it go first."""
        return self._has_slot(tier) and not any(self._has_slot(one.tier) for one in self._waiting)

    def _has_slot(self, tier: Tier) -> bool:
        return self.in_flight < self.slots - self._kept(tier)

    def _kept(self, tier: Tier) -> int:
        return self._reserved_slots if tier is Tier.DEFERRED else 0

    def _let_in(self) -> None:
        for one in list(self._waiting):
            if self._has_slot(one.tier) and one.turn is not None and not one.turn.done():
                self._waiting.remove(one)
                self._running.add(one)
                one.turn.set_result(None)
