"""
Prometheus series of the router, fed by finished attempts and requests; gauges are read when scraped.

Labels come from closed sets: workers that are there, our own codes, states and reasons, classes of keys; never from
what a caller sent.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from fleet import __version__
from fleet.errors import CODES
from router.dispatch import Floor
from router.ejection import Circuit
from router.ledger import Finished
from router.retry import Failure, RetryBudget
from router.spool import SpoolBudget

WAIT_BUCKETS_S = (0.005, 0.02, 0.1, 0.5, 1, 2, 5, 10, 20, 60, 120)
CIRCUITS = {Circuit.CLOSED: 0, Circuit.HALF_OPEN: 1, Circuit.OPEN: 2}


class Series(dict[tuple[str, ...], Counter]):
    """A counter's children by their labels, each looked up once: `labels()` costs several times an increment."""

    def __init__(self, metric: Counter, known: Iterable[tuple[str, ...]] = ()) -> None:
        """`known` are there from the start, at 0: what first appears at 1 has no increase that a rule could see."""
        super().__init__()
        self._metric = metric
        for labels in known:
            self[labels]

    def __missing__(self, labels: tuple[str, ...]) -> Counter:
        child = self[labels] = self._metric.labels(*labels)
        return child

    def keep(self, workers: Collection[str]) -> None:
        """Drop what belongs to workers that are gone, or a fleet whose workers change names would grow for ever."""
        for labels in [labels for labels in self if labels[0] not in workers]:
            self._metric.remove(*labels)
            del self[labels]


class Metrics:
    """All series, in a registry of their own."""

    def __init__(self, floor: Floor, spool: SpoolBudget, budget: RetryBudget) -> None:
        self.registry = CollectorRegistry()
        self._pool = floor.pool
        requests = self._counter("requests", "Requests by status and code.", "code", "reason")
        refusals = [("503", code) for code in CODES[503]]
        self._requests = Series(requests, [("200", "ok"), ("500", "internal_error"), *refusals])
        self._wait = self._histogram("queue_wait_seconds", "Time from admission to a slot.", WAIT_BUCKETS_S)
        self._latency = self._histogram(
            "request_seconds", "Time from the first byte in to the last out.", WAIT_BUCKETS_S
        )
        self._audio = Series(
            self._counter("audio_seconds", "Seconds of audio transcribed, by who did it.", "worker", "key_class")
        )
        rejected = self._counter("rejected", "Requests refused at the door.", "reason")
        self._rejected = Series(rejected, [(code,) for code in CODES[503]])
        self._retry_after = self._histogram("retry_after_seconds", "Retry-After given.", (1, 2, 5, 10, 20, 30, 45, 60))
        self._redispatch = self._counter("redispatch", "Attempts that found the worker busy and went on, at no cost.")
        retries = self._counter("retries", "Failed attempts by how they failed.", "reason")
        failures = [(failure.name.lower(),) for failure in Failure if failure is not Failure.BUSY]
        self._retries = Series(retries, failures)
        self._upload = self._counter("upload_bytes", "Bytes of request bodies received.")
        cancels = self._counter("client_cancel", "Requests whose caller hung up.", "phase")
        self._cancels = Series(cancels, [("waiting",), ("running",)])
        self._attempts = Series(self._counter("worker_requests", "Attempts by worker and status.", "worker", "code"))
        self._estimate = self._histogram(
            "estimate_error_ratio", "Real over estimated seconds of work.", (0.1, 0.25, 0.5, 0.8, 1.25, 2, 4, 10)
        )
        self._lag = self._histogram("loop_lag_seconds", "Lateness of a timer.", (0.001, 0.005, 0.02, 0.05, 0.1, 0.5, 1))
        ProcessCollector(registry=self.registry)
        self.registry.register(_Gauges(floor, spool, budget))

    def attempt(self, worker: str, status: int, failure: str | None, ratio: float | None) -> None:
        """An attempt has ended; `ratio` is real over estimated time of a good one."""
        self._attempts[worker, str(status or failure)].inc()
        if failure == "busy":
            self._redispatch.inc()
        elif failure is not None:
            self._retries[failure,].inc()
        if ratio is not None:
            self._estimate.observe(ratio)

    def finished(self, finished: Finished) -> None:
        """A request has ended."""
        self._requests[str(finished.status), finished.code].inc()
        if finished.code == "ok":
            self._wait.observe(finished.wait_s)
            self._latency.observe(finished.took_s)
            if finished.worker is not None:  # one that was kept is transcribed by nobody
                self._audio[finished.worker, finished.key_class].inc(finished.audio_s)
        elif finished.code == "client_closed":
            self._cancels["running" if finished.attempts else "waiting",].inc()

    def rejected(self, reason: str, retry_after_s: int | None) -> None:
        """A request was refused at the door."""
        self._rejected[reason,].inc()
        if retry_after_s is not None:
            self._retry_after.observe(retry_after_s)

    def received(self, size_bytes: int) -> None:
        """Bytes of a body came in."""
        self._upload.inc(size_bytes)

    def lagged(self, seconds: float) -> None:
        """The event loop was late by so much."""
        self._lag.observe(seconds)

    def page(self) -> bytes:
        """The exposition, without the workers that are gone."""
        workers = {worker.name for worker in self._pool}
        self._audio.keep(workers)
        self._attempts.keep(workers)
        return generate_latest(self.registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"stt_router_{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(f"stt_router_{name}", text, buckets=buckets, registry=self.registry)


class _Gauges(Collector):
    """What can be read off the queue, the pool and the spool at any moment."""

    def __init__(self, floor: Floor, spool: SpoolBudget, budget: RetryBudget) -> None:
        self._floor = floor
        self._spool = spool
        self._budget = budget

    def collect(self) -> Iterator[Metric]:
        """Read them."""
        now, queue, pool = time.monotonic(), self._floor.queue, self._floor.pool
        info = GaugeMetricFamily("stt_router_info", "1, with the version.", labels=["version"])
        info.add_metric([__version__], 1)
        yield info
        yield _gauge("stt_router_queue_length", "Requests that wait.", len(queue))
        yield _gauge("stt_router_queue_limit", "Requests that may wait.", queue.limit)
        yield _gauge("stt_router_queue_work_seconds", "Seconds of work that waits.", queue.work_s())
        yield _gauge("stt_router_backlog_seconds", "Work that waits or runs.", queue.work_s() + pool.outstanding_s(now))
        expected_s = self._floor.admission.expected_wait_s(now)
        yield _gauge("stt_router_expected_wait_seconds", "Wait of a request that arrives now.", expected_s)
        yield _gauge("fleet_expected_wait_seconds", "The same, under the name that autoscalers use.", expected_s)
        yield _gauge("stt_router_slots", "Slots of all usable workers.", pool.slots(now))
        yield _gauge("stt_router_in_flight", "Requests at workers.", pool.in_flight())
        denied = self._budget.denied
        yield CounterMetricFamily("stt_router_retry_budget_denied", "Retries refused for the budget.", value=denied)
        yield _gauge("stt_router_panic", "1 while ejection is ignored.", float(pool.is_panic(now)))
        yield from self._of_spool()
        yield from self._of_workers(now)

    def _of_spool(self) -> Iterator[Metric]:
        held = GaugeMetricFamily("stt_router_spool_bytes", "Bytes of bodies held.", labels=["where"])
        held.add_metric(["memory"], self._spool.memory_bytes)
        held.add_metric(["disk"], self._spool.disk_bytes)
        limit = GaugeMetricFamily("stt_router_spool_limit_bytes", "Bytes that may be held.", labels=["where"])
        limit.add_metric(["memory"], self._spool.memory_limit)
        limit.add_metric(["disk"], self._spool.disk_limit)
        yield from (held, limit)

    def _of_workers(self, now: float) -> Iterator[Metric]:
        state = GaugeMetricFamily("stt_router_worker_state", "1 for the state it is in.", labels=["worker", "state"])
        in_flight = GaugeMetricFamily("stt_router_worker_inflight", "Requests there.", labels=["worker"])
        work = GaugeMetricFamily("stt_router_worker_work_seconds", "Seconds of work there.", labels=["worker"])
        rtf = GaugeMetricFamily("stt_router_worker_rtf", "Seconds of work a second of audio.", labels=["worker"])
        circuit = GaugeMetricFamily(
            "stt_router_worker_breaker_state", "0 closed, 1 half-open, 2 open.", labels=["worker"]
        )
        opened = CounterMetricFamily("stt_router_worker_breaker_open", "Times ejected.", labels=["worker"])
        probe = GaugeMetricFamily("stt_router_worker_probe_seconds", "What the last probe took.", labels=["worker"])
        for worker in self._floor.pool:
            state.add_metric([worker.name, worker.state], 1)
            in_flight.add_metric([worker.name], len(worker.leases))
            work.add_metric([worker.name], worker.outstanding_s(now))
            rtf.add_metric([worker.name], self._floor.pool.cost_of(worker).rtf)
            circuit.add_metric([worker.name], CIRCUITS[worker.circuit(now)])
            opened.add_metric([worker.name], worker.ejection.opened)
            if worker.probe_s is not None:
                probe.add_metric([worker.name], worker.probe_s)
        yield from (state, in_flight, work, rtf, circuit, opened, probe)


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, value=value)
