"""What Prometheus sees of a worker. One registry a process, given to whoever counts; no globals."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from fleet.stages import Stages

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
RTFS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)


class WorkerMetrics:
    """Counters and histograms that the request path moves, and gauges that are read when asked."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "fleet_worker_requests", "Transcription requests by outcome", ["code"], registry=self.registry
        )
        self._audio = Counter("fleet_worker_audio_seconds", "Audio transcribed", registry=self.registry)
        self.decode_deaths = Counter(
            "fleet_worker_decode_child_deaths", "Decode children that a file ended", registry=self.registry
        )
        self._request = self._histogram("request_seconds", "Request received to answer finished")
        self._wait = self._histogram("queue_wait_seconds", "Admitted to started")
        self._decode = self._histogram("decode_seconds", "Upload to samples")
        self._encode = self._histogram("encode_seconds", "A request's share of the encoder's time")
        self._generate = self._histogram("generate_seconds", "A request's share of the rest of its model calls")
        self._engine = self._histogram("engine_seconds", "Samples to last segment, other requests' turns included")
        self._rtf = self._histogram("rtf_ratio", "Seconds from slot to last segment for each second of audio", RTFS)
        self.batch = Histogram(
            "fleet_worker_batch_windows",
            "Windows in one model call",
            buckets=(1, 2, 4, 8, 16, 32, 64),
            registry=self.registry,
        )

        ProcessCollector(registry=self.registry)
        self._requests.labels("ok")  # there from the start, at 0: what first appears at 1 shows no increase

    def ended(self, code: str, stages: Stages, audio_s: float) -> None:
        """A request is over, however it ended; the stages of good ones are the ones that mean something."""
        self._requests.labels(code).inc()
        self._request.observe(stages.total_s)
        if code != "ok":
            return
        self._audio.inc(audio_s)
        self._wait.observe(stages.queue_s)
        self._decode.observe(stages.decode_s)
        self._encode.observe(stages.encode_s)
        self._generate.observe(stages.generate_s)
        self._engine.observe(stages.engine_s)
        if audio_s:
            self._rtf.observe((stages.decode_s + stages.engine_s) / audio_s)

    def gauge(self, name: str, text: str, read: Callable[[], float]) -> None:
        """A value that is read when Prometheus asks."""
        Gauge(f"fleet_worker_{name}", text, registry=self.registry).set_function(read)

    def page(self) -> bytes:
        """The exposition."""
        return generate_latest(self.registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...] = SECONDS) -> Histogram:
        return Histogram(f"fleet_worker_{name}", text, buckets=buckets, registry=self.registry)
