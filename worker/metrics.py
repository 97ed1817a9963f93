"""What Prometheus sees of a worker. One registry a process, given to whoever counts; no globals."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)


class WorkerMetrics:
    """Counters and histograms that the request path moves, and gauges that are read when asked."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "fleet_worker_requests", "Transcription requests by outcome", ["code"], registry=self.registry
        )
        self.audio = Counter("fleet_worker_audio_seconds", "Audio transcribed", registry=self.registry)
        self.decode_deaths = Counter(
            "fleet_worker_decode_child_deaths", "Decode children that a file ended", registry=self.registry
        )
        self.request = self._histogram("request_seconds", "Request received to answer finished")
        self.wait = self._histogram("queue_wait_seconds", "Admitted to started")
        self.decode = self._histogram("decode_seconds", "Upload to samples")
        self.engine = self._histogram("engine_seconds", "Samples to last segment")
        self.batch = Histogram(
            "fleet_worker_batch_windows",
            "Windows in one model call",
            buckets=(1, 2, 4, 8, 16, 32, 64),
            registry=self.registry,
        )

    def gauge(self, name: str, text: str, read: Callable[[], float]) -> None:
        """A value that is read when Prometheus asks."""
        Gauge(f"fleet_worker_{name}", text, registry=self.registry).set_function(read)

    def page(self) -> bytes:
        """The exposition."""
        return generate_latest(self.registry)

    def _histogram(self, name: str, text: str) -> Histogram:
        return Histogram(f"fleet_worker_{name}", text, buckets=SECONDS, registry=self.registry)
