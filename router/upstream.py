"""
One worker as the router sees it: its state, what it reported, and who holds its slots (core: no clock, no I/O).

A slot is taken by a `Lease`, which router.dispatch gives back at the end of a scope, whatever happens to the request
inside. Only router.pool changes the rest.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, field

from fleet.cost import CostModel
from fleet.wire import LoadReport, WorkerState
from router.ejection import Circuit, Ejection

PROVEN_AFTER = 2  # slow start: one request at a time until this many were answered
SUSPECT_S = 30  # a body that kills its worker does so at once, in the decoder or the first windows
REPORT_FRESH_S = 5  # an older report says nothing about what others do to the worker


class Health(enum.StrEnum):
    """What the router knows from asking, apart from what the worker says of itself."""

    UNKNOWN = "unknown"  # not asked yet
    UP = "up"  # answers
    SILENT = "silent"  # takes connections and does not answer
    REFUSED = "refused"  # nobody listens


@dataclass(eq=False, slots=True)
class Lease:
    """One request on one worker, from the pick until the end of the attempt."""

    worker: Worker
    est_s: float
    started_at: float
    audio_s: float
    tenant: str = ""
    is_suspect: bool = False  # an earlier worker died while it had this request
    label: str = ""  # the request's id, for the status page
    boot: str = field(init=False)  # the process that has it, even if another takes its place
    on_lost: Callable[[str], None] | None = None  # called when the worker is taken to be dead meanwhile

    def __post_init__(self) -> None:
        self.boot = self.worker.boot

    def release(self) -> None:
        """Give the slot back; twice does no harm."""
        self.worker.leases.discard(self)

    def remaining_s(self, now: float) -> float:
        """Seconds of work left; who takes longer than estimated is taken to need a fifth of that again."""
        elapsed = now - self.started_at
        return max(self.est_s - elapsed, 0.2 * elapsed if elapsed > self.est_s else 0.0)


@dataclass(eq=False, slots=True, kw_only=True)
class Worker:
    """One worker process as the router sees it."""

    url: str
    ejection: Ejection
    name: str = ""
    health: Health = Health.UNKNOWN
    report: LoadReport | None = None
    reported_at: float = 0.0
    misses: int = 0  # probes unanswered, in a row
    probe_s: float | None = None  # what the last answered one took
    leases: set[Lease] = field(default_factory=set)
    cost_model: CostModel = field(default_factory=CostModel)
    answered: int = 0  # since its process began
    heard_at: float | None = None  # last byte of an answer
    paused_until: float = 0.0  # it said busy
    is_listed: bool = True  # discovery still names it
    is_held: bool = False  # an operator wants nothing new sent to it
    since: float = 0.0  # when the state last changed

    def __repr__(self) -> str:
        return f"<Worker {self.url} {self.state}, {len(self.leases)}/{self.slots} in flight>"

    @property
    def state(self) -> str:
        """One word: what it says of itself, or what the router knows better."""
        if self.is_drained:
            return WorkerState.DRAINING
        if self.health is not Health.UP:
            return self.health
        return self.report.state if self.report else Health.UNKNOWN

    @property
    def is_drained(self) -> bool:
        """Whether it only finishes what it has."""
        return self.is_held or not self.is_listed

    @property
    def slots(self) -> int:
        """Requests that it runs at once."""
        return self.report.slots if self.report else 1

    @property
    def boot(self) -> str:
        """The id of its process; another one after every restart."""
        return self.report.boot if self.report else ""

    @property
    def says_ready(self) -> bool:
        """Whether it said, when it last said something, that it takes work."""
        return self.report is not None and self.report.state is WorkerState.READY

    @property
    def is_ready(self) -> bool:
        """Whether it says so, answers, and is to have work."""
        return self.says_ready and self.health is Health.UP and not self.is_drained

    def serves(self, model: str | None) -> bool:
        """Whether it has the model; None is whatever it has."""
        return model is None or (self.report is not None and self.report.model == model)

    def is_available(self, now: float) -> bool:
        """Ready, not ejected, not full, not paused."""
        return self.is_ready and self.circuit(now) is not Circuit.OPEN and self.has_free_slot(now)

    def has_free_slot(self, now: float) -> bool:
        """Whether one more request would start at once."""
        return now >= self.paused_until and self.free_slots(now) > 0

    def free_slots(self, now: float) -> int:
        """Slots that nobody holds, as far as known; one at most until the worker has proved itself."""
        mine = len(self.leases)
        is_on_trial = self.answered < PROVEN_AFTER or self.circuit(now) is Circuit.HALF_OPEN
        slots = min(1, self.slots) if is_on_trial else self.slots
        return max(0, slots - mine - self.others(now))

    def has_suspect(self, now: float) -> bool:
        """Whether it runs a request under which another worker died, and may die of it any moment."""
        return any(lease.is_suspect and now - lease.started_at < SUSPECT_S for lease in self.leases)

    def others(self, now: float) -> int:
        """Requests that came past this router, by the last report; none if that is old."""
        if self.report is None or now - self.reported_at > REPORT_FRESH_S:
            return 0
        return max(0, self.report.in_flight + self.report.queue_depth - self.report.mine)

    def circuit(self, now: float) -> Circuit:
        """Closed, open or half-open."""
        return self.ejection.circuit(now)

    def outstanding_s(self, now: float) -> float:
        """Seconds of work that it has: own leases, and what others hold by its last report."""
        return sum(lease.remaining_s(now) for lease in self.leases) + self.others_s(now)

    def others_s(self, now: float) -> float:
        """Seconds of work that came past this router, by the last report; none if that is old."""
        age = now - self.reported_at
        if self.report is None or age > REPORT_FRESH_S:
            return 0.0
        return max(0.0, self.report.work_s - self.report.mine_s - age)

    def slots_free_in_s(self, now: float) -> list[float]:
        """For each slot, the seconds until it has done what was started; 0 for a free one."""
        started = [lease.remaining_s(now) for lease in self.leases]
        if others := self.others(now):
            started += [self.others_s(now) / others] * others
        ends = sorted(started, reverse=True)[: self.slots]
        ends += [0.0] * (self.slots - len(ends))
        ends[-1] += sum(started) - sum(ends)  # what is more than its slots waits for the first of them
        return ends

    def lease(self, now: float, est_s: float, audio_s: float, *, tenant: str = "", is_suspect: bool = False) -> Lease:
        """Take a slot. No await may stand between asking whether there is one and this."""
        lease = Lease(self, est_s, now, audio_s, tenant, is_suspect)
        self.leases.add(lease)
        return lease
