"""What became of requests: totals that only grow, and the last ones for percentiles and rates (core: no I/O)."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from fleet.stages import Stages

RECENT = 1024  # requests kept for percentiles
RATE_S = 60
WORKERS_KEPT = 1000  # pods come with a new name each time


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """One request, after its end."""

    at: float
    status: int
    code: str  # ok, or the error's code; `client_closed` for who hung up
    wait_s: float  # in the queue
    took_s: float  # from the first byte of the request to the last of the answer
    audio_s: float
    attempts: int
    worker: str | None
    tenant: str
    key_class: str
    stages: Stages
    cache: str = "miss"  # hit | miss, as the caller was told

    @property
    def charged_s(self) -> float:
        """
        Seconds of audio that count against the key's quota.

        All of it for an answer that a worker gave, and for one that its caller no longer waited for, or leaving early
        would be a way to transcribe for nothing. None for what failed, and for what no worker was asked to do.
        """
        counts = self.attempts > 0 and self.code in ("ok", "client_closed", "deadline_exceeded")
        return self.audio_s if counts else 0.0

    def for_log(self) -> dict[str, Any]:
        """The access line's fields; never text or audio."""
        return {
            "code": self.code,
            "worker": self.worker,
            "cache": self.cache,
            "attempts": self.attempts,
            "audio_s": round(self.audio_s, 2),
            "took_ms": round(1000 * self.took_s, 1),
            **self.stages.for_log(),
        }


@dataclass(slots=True)
class Ledger:
    """Counts by scope: a request is noted once, when it ends."""

    totals: Counter[str] = field(default_factory=Counter)
    by_worker: dict[str, Counter[str]] = field(default_factory=dict)
    recent: deque[Finished] = field(default_factory=lambda: deque(maxlen=RECENT))
    bytes_in: int = 0
    at_workers: int = 0  # requests that a worker answered or failed, of those too that are gone

    def note(self, finished: Finished) -> None:
        """A request has ended."""
        self.totals["requests"] += 1
        self.totals[outcome_of(finished)] += 1
        self.recent.append(finished)
        if finished.worker is not None:
            counts = self.by_worker.setdefault(finished.worker, Counter())
            counts["total"] += 1
            self.at_workers += 1
            counts[outcome_of(finished)] += 1
            if len(self.by_worker) > WORKERS_KEPT:
                del self.by_worker[next(iter(self.by_worker))]

    def rates(self, now: float) -> dict[str, float]:
        """Requests, audio seconds, errors and refusals of the last minute (of the last 1024 requests at most)."""
        last = [each for each in self.recent if each.at > now - RATE_S]
        span_s = min(RATE_S, now - last[0].at) if len(last) == RECENT else RATE_S
        done = [each for each in last if each.code == "ok"]
        count = max(1, len(last))
        return {
            "req_s": round(len(last) / span_s, 3),
            "audio_s_per_s": round(sum(each.audio_s for each in done) / span_s, 3),
            "err_pct": round(100 * sum(outcome_of(each) == "failed" for each in last) / count, 2),
            "reject_pct": round(100 * sum(outcome_of(each) == "refused" for each in last) / count, 2),
        }

    def waits(self) -> dict[str, float | None]:
        """Percentiles of the time in the queue."""
        return percentiles(each.wait_s for each in self.recent if each.code == "ok")

    def latencies(self, worker: str) -> dict[str, float | None]:
        """Percentiles of the whole time of requests that this worker answered."""
        return percentiles(each.took_s for each in self.recent if each.worker == worker and each.code == "ok")


def outcome_of(finished: Finished) -> str:
    """One of ok, caller_error, refused, cancelled, deadline, failed."""
    if finished.code in ("ok", "client_closed"):
        return "ok" if finished.code == "ok" else "cancelled"
    if finished.code == "deadline_exceeded":
        return "deadline"
    if finished.status in (429, 503):
        return "refused"
    return "caller_error" if finished.status < 500 else "failed"


def percentiles(values: Iterable[float]) -> dict[str, float | None]:
    """p50, p95 and p99 by the nearest rank; None where there is nothing."""
    ranked = sorted(values)
    if not ranked:
        return {"p50": None, "p95": None, "p99": None}
    last = len(ranked) - 1
    return {f"p{share}": round(ranked[min(last, len(ranked) * share // 100)], 4) for share in (50, 95, 99)}
