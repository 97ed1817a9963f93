"""
Everything that /lb-status shows, as one JSON document.

Every state has a why and a since, every counter only grows, units are in the names. Times are seconds.
"""

from __future__ import annotations

import os
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import psutil

from fleet import __version__
from fleet.wire import WorkerState
from router.discovery import Discovery
from router.dispatch import Floor
from router.ejection import Circuit
from router.ledger import Ledger, percentiles
from router.retry import RetryBudget
from router.spool import SpoolBudget
from router.ticket import Ticket
from router.trend import Moment
from router.upstream import Health, Lease, Worker

TITLE = "Load Balancer Status"
STALE_AFTER_S = 5  # look-ups come every two seconds; two may fail unnoticed

WHY = {
    Health.UNKNOWN: "not asked yet",
    Health.SILENT: "does not answer probes",
    Health.REFUSED: "down: refuses connections",
    WorkerState.LOADING: "loads its model",
    WorkerState.WARMING: "transcribes its first clip",
    WorkerState.DRAINING: "finishes what it has, takes nothing new",
}


class Status:
    """Reads the parts; changes nothing. State of its own: how the router is, and who waits for an answer."""

    def __init__(
        self,
        floor: Floor,
        *,
        router_id: str,
        discovery: Discovery,
        ledger: Ledger,
        budget: RetryBudget,
        spool: SpoolBudget,
        ticket: Ticket,
    ) -> None:
        self._floor = floor
        self._router_id = router_id
        self._discovery = discovery
        self._ledger = ledger
        self._budget = budget
        self._spool = spool
        self._ticket = ticket
        self._process = psutil.Process()
        self._started_at = time.monotonic()
        self.lags_s: deque[float] = deque(maxlen=600)
        self.state = "serving"  # then leaving (still serves, /readyz says no), then draining
        self.doors: dict[str, Callable[[], dict[str, Any]]] = {}  # what a door tells of itself, by its name
        self.open_requests = 0  # callers that wait for an answer, uploads included

    @contextmanager
    def open(self) -> Iterator[None]:
        """Count a request that a drain waits for, for exactly as long as the block runs."""
        self.open_requests += 1
        try:
            yield
        finally:
            self.open_requests -= 1

    def to_json(self) -> dict[str, Any]:
        """The whole document."""
        now = time.monotonic()
        return {
            "v": 1,
            "title": TITLE,
            "now": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "router": self._router(now),
            "discovery": self._discovered(now),
            "fleet": self._fleet(now),
            "queue": self._queue(now),
            **{name: tell() for name, tell in self.doors.items()},
            "totals": self._totals(),
            "rates_1m": self._ledger.rates(now),
            "workers": [self._worker(worker, now) for worker in self._floor.pool],
            "events": [self._event(*event, now=now) for event in self._floor.pool.events.kept],
        }

    def moment(self) -> Moment:
        """What the status page's curves show of now."""
        fleet = self._fleet(time.monotonic())
        refused = self._ledger.totals["refused"]
        return Moment(backlog_s=fleet["backlog_s"], expected_wait_s=fleet["expected_wait_s"], refused=refused)

    def _router(self, now: float) -> dict[str, Any]:
        lags = percentiles(self.lags_s)
        return {
            "id": self._router_id,
            "version": __version__,
            "pid": os.getpid(),
            "uptime_s": round(now - self._started_at, 1),
            "state": self.state,
            "open_requests": self.open_requests,
            "panic": self._floor.pool.is_panic(now),
            "loop_lag_ms": {name: round(1000 * (lag or 0), 2) for name, lag in lags.items()},
            "rss_mb": round(self._process.memory_info().rss / 1e6, 1),
            "open_fds": self._process.num_fds(),
        }

    def _discovered(self, now: float) -> dict[str, Any]:
        age_s = round(now - self._discovery.last_ok_at, 1)
        is_dns = "dns://" in self._discovery.source
        return {
            "source": self._discovery.source,
            "last_ok_s": age_s if is_dns else 0,
            "stale_s": max(0, round(age_s - STALE_AFTER_S, 1)) if is_dns else 0,
            "errors": self._discovery.errors,
            "known": self._discovery.known,
        }

    def _fleet(self, now: float) -> dict[str, Any]:
        pool = self._floor.pool
        slots, busy = pool.slots(now), pool.in_flight()
        horizon_s = self._ticket.ahead_s(now)
        return {
            "workers": len(pool.workers),
            "ready": len(pool.usable(now)),
            "slots": slots,
            "busy": busy,
            "utilization": round(busy / slots, 3) if slots else 0,
            "rate_audio_x": self._ledger.rates(now)["audio_s_per_s"],
            "backlog_s": round(self._floor.queue.work_s() + pool.outstanding_s(now), 3),
            "expected_wait_s": round(self._floor.admission.expected_wait_s(now), 3),
            "retry_after_now_s": round(horizon_s, 1) if horizon_s > 0 else None,
            "ticket_horizon_s": round(horizon_s, 1),
        }

    def _queue(self, now: float) -> dict[str, Any]:
        queue = self._floor.queue
        return {
            "len": len(queue),
            "max": queue.limit,
            "work_s": round(queue.work_s(), 3),
            "oldest_s": round(queue.oldest_s(now), 3),
            "bytes_mem": self._spool.memory_bytes,
            "bytes_disk": self._spool.disk_bytes,
            "by_tenant": queue.by_tenant(),
            "wait_s": self._ledger.waits(),
            "max_seen": queue.max_seen,
        }

    def _totals(self) -> dict[str, int]:
        totals = self._ledger.totals
        return {
            **{name: totals[name] for name in ("requests", "ok", "caller_error", "refused", "failed")},
            "client_cancel": totals["cancelled"],
            **{name: totals[name] for name in ("deadline", "redispatch", "retries")},
            "retry_budget_denied": self._budget.denied,
            "bytes_in": self._ledger.bytes_in,
        }

    def _worker(self, worker: Worker, now: float) -> dict[str, Any]:
        report = worker.report
        counts = self._ledger.by_worker.get(worker.name, Counter())
        cost = self._floor.pool.cost_of(worker)
        total = counts.get("total", 0)
        return {
            "id": worker.name,
            "url": worker.url,
            "boot": worker.boot or None,
            "state": worker.state,
            "why": self._why(worker, now),
            "since_s": round(now - worker.since, 1),
            "model": report.model if report else None,
            "device": report.device if report else None,
            "compute_type": report.compute_type if report else None,
            "version": report.version if report else None,
            "slots": worker.slots,
            "inflight": len(worker.leases),
            "mine_work_s": round(sum(lease.remaining_s(now) for lease in worker.leases), 3),
            "others_work_s": round(max(0.0, report.work_s - report.mine_s), 3) if report else 0,
            "others_inflight": worker.others(now),
            "running": [running(lease, now) for lease in worker.leases],
            "rtf": round(cost.rtf, 5),
            "fixed_s": round(cost.fixed_s, 4),
            "breaker": self._breaker(worker, now),
            "probe": {
                "ok": worker.misses == 0 and worker.health is Health.UP,
                "ms": round(1000 * worker.probe_s, 2) if worker.probe_s is not None else None,
                "fails": worker.misses,
                "report_age_s": round(now - worker.reported_at, 2) if report else None,
            },
            "total": total,
            "ok": counts.get("ok", 0),
            "err": counts.get("failed", 0),
            "cancel": counts.get("cancelled", 0),
            "lat_s": self._ledger.latencies(worker.name),
            "last_used_s": round(now - worker.heard_at, 1) if worker.heard_at is not None else None,
            "share_pct": round(100 * total / max(1, self._ledger.at_workers), 1),
        }

    def _why(self, worker: Worker, now: float) -> str | None:
        if worker.health in (Health.SILENT, Health.REFUSED):
            return WHY[worker.health]
        circuit = worker.circuit(now)
        if circuit is not Circuit.CLOSED:
            return f"{circuit.replace('_', '-')} after: {worker.ejection.last_error}"
        if worker.report is not None and worker.report.why:
            return worker.report.why
        return WHY.get(worker.state)  # type: ignore[call-overload,no-any-return]  # str enums of two kinds

    def _breaker(self, worker: Worker, now: float) -> dict[str, Any]:
        ejection = worker.ejection
        reopens_s = ejection.reopens_in_s(now)
        ago_s = f" {now - ejection.last_error_at:.0f} s ago" if ejection.last_error_at is not None else ""
        return {
            "state": ejection.circuit(now),
            "fails": ejection.failures,
            "opened": ejection.opened,
            "reopen_in_s": round(reopens_s, 1) if reopens_s is not None else None,
            "last_error": f"{ejection.last_error}{ago_s}" if ejection.last_error else None,
        }

    def _event(self, at: float, worker: str, event: str, detail: str, *, now: float) -> dict[str, Any]:
        moment = datetime.now(UTC) - timedelta(seconds=now - at)
        return {"t": moment.isoformat(timespec="milliseconds"), "worker": worker, "event": event, "detail": detail}


def running(lease: Lease, now: float) -> dict[str, Any]:
    """One request at a worker."""
    return {
        "rid": lease.label,
        "tenant": lease.tenant,
        "audio_s": round(lease.audio_s, 2),
        "est_s": round(lease.est_s, 3),
        "elapsed_s": round(now - lease.started_at, 3),
    }
