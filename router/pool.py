"""
The workers, and what happened to them (core: no clock, no I/O).

What answers, probes and failures say comes in here and nowhere else; what follows from it is asked here: who could
start a request now, how much work lies before the fleet, whether to trust ejection at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from random import Random

from fleet.cost import PRIORS, Cost, CostModel, median
from fleet.wire import LoadReport, WorkerState
from router.ejection import Circuit, Ejection, NewEjection
from router.event_log import EventLog
from router.upstream import Health, Lease, Worker

SIGN_OF_LIFE_S = 10  # a worker that answered something this recently is busy, not dead
OVERDUE = 3  # a silent worker gets nothing new, but keeps what it runs for this many times the estimate
BUSY_PAUSE_S = 0.25  # after "busy", unless a report says otherwise sooner
PANIC_SHARE = 0.5


class Pool:
    """All known workers, by URL, and what happened to them."""

    def __init__(self, rng: Random, new_ejection: NewEjection = Ejection, events: EventLog | None = None) -> None:
        self._rng = rng
        self._new_ejection = new_ejection
        self.workers: dict[str, Worker] = {}
        self._cost: Cost | None = None  # the middle of all, until one of them learns
        self.events = events or EventLog()

    def __iter__(self) -> Iterator[Worker]:
        return iter(self.workers.values())

    def __repr__(self) -> str:
        return f"<Pool {list(self.workers.values())}>"

    # who there is

    def set_known(self, urls: Iterable[str], now: float) -> None:
        """These are the workers now: new ones join, missing ones are drained and forgotten when idle."""
        wanted = dict.fromkeys(urls)  # in the order given, for the status page
        for url in wanted:
            if url not in self.workers:
                self.add(url, now)
        for url, worker in list(self.workers.items()):
            before, worker.is_listed = worker.state, url in wanted
            self._note_state(worker, before, now)
            if url not in wanted and not worker.leases:
                del self.workers[url]
                self._cost = None
                self._note(now, worker, "gone", "")

    def add(self, url: str, now: float) -> Worker:
        """A worker to ask and to use once it says that it is ready."""
        worker = Worker(url=url, name=url.removeprefix("http://"), since=now, ejection=self._new_ejection())
        self.workers[url] = worker
        self._cost = None
        self._note(now, worker, "joined", "")
        return worker

    def hold(self, worker: Worker, now: float, *, is_held: bool) -> None:
        """Send it nothing new, or take that back: an operator's word."""
        before, worker.is_held = worker.state, is_held
        self._note_state(worker, before, now)

    def forgive(self, worker: Worker) -> None:
        """Forget its failures: an operator's word too."""
        worker.ejection.reset()

    # what workers say

    def heard(self, worker: Worker, report: LoadReport, now: float, probe_s: float | None = None) -> None:
        """A report came, with an answer or a probe. A new boot id is a new process: nothing is held against it."""
        if report.boot != worker.boot:
            self._greet(worker, report, now)
        before = worker.state
        worker.report, worker.reported_at = report, now
        worker.probe_s = worker.probe_s if probe_s is None else probe_s
        worker.health, worker.misses = Health.UP, 0
        if report.state is WorkerState.READY and report.in_flight < report.slots:
            worker.paused_until = 0.0
        self._note_state(worker, before, now)

    def refused(self, worker: Worker, now: float) -> None:
        """Nobody listens there: out at once, until a probe is answered."""
        before = worker.state
        worker.health = Health.REFUSED
        self._note_state(worker, before, now)
        self._lose(set(worker.leases), "connection refused")

    def missed(self, worker: Worker, now: float, misses_limit: int) -> None:
        """A probe was not answered. Busy is not dead: who answered something lately stays."""
        worker.misses += 1
        is_alive = worker.heard_at is not None and now - worker.heard_at < SIGN_OF_LIFE_S
        if worker.misses < misses_limit or is_alive or worker.health is Health.REFUSED:
            return
        before = worker.state
        worker.health = Health.SILENT
        self._note_state(worker, before, now)
        leases = {lease for lease in worker.leases if now - lease.started_at >= OVERDUE * lease.est_s}
        self._lose(leases, f"{worker.misses} probes unanswered")

    # how requests went

    def answers(self, worker: Worker, now: float) -> None:
        """A part of an answer came: it lives, however its probes go."""
        worker.heard_at = now

    def succeeded(self, lease: Lease, now: float, compute_s: float) -> None:
        """A request was answered by this worker, well or with the caller's error."""
        worker = lease.worker
        worker.answered += 1
        self.answers(worker, now)
        was = worker.circuit(now)
        worker.ejection.succeed(now)
        if was is Circuit.HALF_OPEN:
            self._note(now, worker, "readmitted", "")
        if lease.audio_s > 0 and compute_s > 0:
            worker.cost_model.learn(lease.audio_s, compute_s)
            self._cost = None

    def failed(self, worker: Worker, now: float, error: str) -> None:
        """A request failed by the worker's fault."""
        if worker.ejection.fail(now, error, self._rng):
            self._note(now, worker, "ejected", f"last failure: {error}")

    def was_busy(self, worker: Worker, now: float) -> None:
        """It had no slot after all: leave it a moment, unless its next report says that it has."""
        worker.paused_until = now + BUSY_PAUSE_S

    # what follows from it

    def available(self, now: float) -> list[Worker]:
        """Who could start a request now."""
        chosen = [worker for worker in self.workers.values() if worker.is_available(now)]
        if not chosen and self.is_panic(now):
            return [w for w in self.workers.values() if self._might_accept(w) and w.has_free_slot(now)]
        return chosen

    def is_panic(self, now: float) -> bool:
        """
        Over half of the workers are out for silence or failures: then better try them than nobody.

        One that refuses connections or says itself that it is not ready does not count as out.
        """
        judged = [worker for worker in self.workers.values() if self._might_accept(worker)]
        out = [w for w in judged if w.health is Health.SILENT or w.circuit(now) is Circuit.OPEN]
        return bool(judged) and len(out) > PANIC_SHARE * len(self.workers)

    def usable(self, now: float) -> list[Worker]:
        """Who has slots to count on, free or not."""
        chosen = [w for w in self.workers.values() if w.is_ready and w.circuit(now) is not Circuit.OPEN]
        if chosen or not self.is_panic(now):
            return chosen
        return [w for w in self.workers.values() if self._might_accept(w)]

    def slots(self, now: float) -> int:
        """Slots of all usable workers."""
        return sum(worker.slots for worker in self.usable(now))

    def outstanding_s(self, now: float) -> float:
        """Seconds of work that the usable workers have before them."""
        return sum(worker.outstanding_s(now) for worker in self.usable(now))

    def in_flight(self) -> int:
        """Leases of all workers, gone ones too while they last."""
        return sum(len(worker.leases) for worker in self.workers.values())

    def cost(self) -> Cost:
        """The fleet's middle cost: for estimates, and for workers that are new."""
        if self._cost is None:
            learned = [w.cost_model.cost for w in self.workers.values() if w.cost_model.is_learned]
            self._cost = median(learned) or median([w.cost_model.prior for w in self.workers.values()]) or PRIORS["cpu"]
        return self._cost

    def cost_of(self, worker: Worker) -> Cost:
        """What a worker needs for a clip; a newcomer is taken to be like the others."""
        return worker.cost_model.cost if worker.cost_model.is_learned else self.cost()

    def _greet(self, worker: Worker, report: LoadReport, now: float) -> None:
        if worker.boot:
            self._note(now, worker, "restarted", report.boot)
        prior = PRIORS.get(report.device.partition(":")[0], PRIORS["cpu"])
        if report.rtf is not None:
            prior = Cost(report.fixed_s or 0.0, report.rtf)
        worker.cost_model, worker.answered, worker.paused_until = CostModel(prior), 0, 0.0
        worker.ejection.reset()
        is_taken = any(other.name == report.worker_id for other in self if other is not worker)
        worker.name = report.worker_id if not is_taken else worker.url.removeprefix("http://")
        self._cost = None

    def _might_accept(self, worker: Worker) -> bool:
        return worker.says_ready and worker.health in (Health.UP, Health.SILENT) and not worker.is_drained

    def _lose(self, leases: set[Lease], why: str) -> None:
        for lease in leases:
            if lease.on_lost is not None:
                lease.on_lost(why)

    def _note_state(self, worker: Worker, before: str, now: float) -> None:
        if worker.state != before:
            worker.since = now
            self._note(now, worker, worker.state, f"was {before}")

    def _note(self, now: float, worker: Worker, event: str, detail: str) -> None:
        self.events.note(now, worker, event, detail)
