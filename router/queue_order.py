"""
The one queue: who is next (core: no clock, no I/O).

Order is `arrival + alpha * log2(1 + work / 0.1 s)`: a short request passes a long one, but only one that arrived within
`alpha * log2(...)` seconds before it, about 95 s for an hour of audio, so nothing starves. With eight workers at load
0.85 this makes the 95th percentile of short requests' waits nine times shorter than first come, first served, and that
of long ones a third longer.

Between keys, whoever used less lately goes first. "Lately" is a sum of seconds of work that halves every 30 s; sums
within a quarter of each other count as equal, so that among equals size and age decide.
"""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fleet.wire import Tier

if TYPE_CHECKING:
    from router.upstream import Lease

WORK_UNIT_S = 0.1  # below this, sizes count as equal
RETRY_AGE_S = 60  # a client that was refused and came back is treated as this much older, per return
RETRY_AGES_MAX = 3
USAGE_HALF_LIFE_S = 30
USAGE_STEP = math.log(1.25)  # sums of usage within a quarter are equals
TENANTS_KEPT = 1000


@dataclass(slots=True, eq=False, kw_only=True)
class Waiting:
    """One request that waits for a slot. `start` is called with the lease when its turn has come."""

    arrived_at: float
    audio_s: float
    est_s: float  # seconds of work on a worker of the fleet's middle speed
    start: Callable[[Lease], None]
    tenant: str = ""
    tier: Tier = Tier.REALTIME
    model: str | None = None
    client_retries: int = 0  # how often the client itself was here before with this
    tried: set[str] = field(default_factory=set)  # boot ids of workers that failed on it
    is_suspect: bool = False  # a worker died while it had this
    alpha_s: float = 10
    key: float = field(init=False)

    def __post_init__(self) -> None:
        self.key = order_key(self.arrived_at, self.est_s, self.client_retries, alpha_s=self.alpha_s)

    def competes(self, model: str | None) -> bool:
        """Whether it may want a worker that a request for this model wants; None is any."""
        return model is None or self.model is None or self.model == model


def order_key(arrived_at: float, est_s: float, client_retries: int = 0, *, alpha_s: float = 10) -> float:
    """When a request is due, in seconds on the arrival clock; the smallest is next."""
    aged = RETRY_AGE_S * min(client_retries, RETRY_AGES_MAX)
    return arrived_at - aged + alpha_s * math.log2(1 + est_s / WORK_UNIT_S)


class Queue:
    """Requests in order. All that changes is the sorted list and each tenant's usage."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.max_seen = 0
        self._waiting: list[Waiting] = []
        self._usage = Usage()

    def __len__(self) -> int:
        return len(self._waiting)

    def __iter__(self) -> Iterator[Waiting]:
        return iter(self._waiting)

    def __repr__(self) -> str:
        return f"<Queue {len(self)}/{self.limit} waiting, {self.work_s():.1f} s of work>"

    @property
    def is_full(self) -> bool:
        """Whether one more would be too many."""
        return len(self._waiting) >= self.limit

    def is_full_for(self, tenant: str) -> bool:
        """Whether this tenant may add none: it is full and has the tenant's share already, or is full twice over."""
        if not self.is_full:
            return False
        counts = self.by_tenant()
        share = self.limit / len({tenant, *counts})
        return counts.get(tenant, 0) >= share or len(self) >= 2 * self.limit

    def add(self, waiting: Waiting) -> None:
        """Put a request in its place. The caller has asked whether there is room."""
        insort(self._waiting, waiting, key=lambda each: each.key)
        self.max_seen = max(self.max_seen, len(self._waiting))

    def remove(self, waiting: Waiting) -> None:
        """Take a request out, wherever it is; no harm if it has left already."""
        if waiting in self._waiting:
            self._waiting.remove(waiting)

    def in_order(self, now: float) -> Iterable[Waiting]:
        """Everyone, the next first."""
        tenants = {waiting.tenant for waiting in self._waiting}
        if len(tenants) < 2:
            return self._waiting
        rank = {tenant: self._usage.rank(tenant, now) for tenant in tenants}
        return sorted(self._waiting, key=lambda each: (rank[each.tenant], each.key))

    def charge(self, tenant: str, work_s: float, now: float) -> None:
        """Remember that work of this tenant was started; less than nothing takes back what was too much."""
        self._usage.add(tenant, work_s, now)

    def work_s(self) -> float:
        """Seconds of work that waits."""
        return sum(waiting.est_s for waiting in self._waiting)

    def work_ahead_s(self, key: float, tenant: str, now: float, model: str | None = None) -> float:
        """Seconds of work that waits and would go before a request of this tenant with this key, for this model."""
        rank: dict[str, int] = {}
        for waiting in (tenant, *self.by_tenant()):
            rank[waiting] = self._usage.rank(waiting, now)
        place = rank[tenant], key
        rivals = (each for each in self._waiting if each.competes(model))
        return sum(each.est_s for each in rivals if (rank[each.tenant], each.key) < place)

    def oldest_s(self, now: float) -> float:
        """How long the longest waiting one has waited."""
        return max((now - waiting.arrived_at for waiting in self._waiting), default=0.0)

    def by_tenant(self) -> dict[str, int]:
        """How many wait, by tenant."""
        counts: dict[str, int] = {}
        for waiting in self._waiting:
            counts[waiting.tenant] = counts.get(waiting.tenant, 0) + 1
        return counts


class Usage:
    """Seconds of work by tenant, halving every 30 s."""

    def __init__(self) -> None:
        self._sums: dict[str, tuple[float, float]] = {}  # tenant -> (seconds, as of)

    def add(self, tenant: str, work_s: float, now: float) -> None:
        """Count work of a tenant."""
        self._sums[tenant] = (max(0.0, self._at(tenant, now) + work_s), now)
        if len(self._sums) > TENANTS_KEPT:
            self._sums = {name: self._sums[name] for name in self._sums if self._at(name, now) > WORK_UNIT_S}

    def rank(self, tenant: str, now: float) -> int:
        """Less used ranks lower; a quarter more is one step."""
        return int(math.log1p(self._at(tenant, now) / WORK_UNIT_S) / USAGE_STEP)

    def _at(self, tenant: str, now: float) -> float:
        seconds, as_of = self._sums.get(tenant, (0.0, now))
        return seconds * math.exp2((as_of - now) / USAGE_HALF_LIFE_S)
