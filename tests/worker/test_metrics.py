"""What Prometheus sees."""

from prometheus_client.parser import text_string_to_metric_families

from worker.metrics import WorkerMetrics


def test_the_page_parses_and_gauges_are_read_when_asked():
    """Names carry their units; a gauge is never stale."""
    metrics, value = WorkerMetrics(), [1.0]
    metrics.gauge("slots", "Requests at once", lambda: value[0])
    metrics.requests.labels("ok").inc()
    value[0] = 3.0

    families = {one.name: one for one in text_string_to_metric_families(metrics.page().decode())}

    assert families["fleet_worker_slots"].samples[0].value == 3.0
    assert {"fleet_worker_requests", "fleet_worker_audio_seconds", "fleet_worker_request_seconds"} <= set(families)


def test_two_workers_in_one_process_count_apart():
    """No global registry."""
    first, second = WorkerMetrics(), WorkerMetrics()
    first.audio.inc(5)

    assert b"fleet_worker_audio_seconds_total 5.0" in first.page()
    assert b"fleet_worker_audio_seconds_total 0.0" in second.page()
