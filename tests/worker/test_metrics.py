"""What Prometheus sees."""

from prometheus_client.parser import text_string_to_metric_families

from fleet.stages import Stages
from worker.metrics import WorkerMetrics


def test_the_page_parses_and_gauges_are_read_when_asked():
    """Names carry their units; a gauge is never stale."""
    metrics, value = WorkerMetrics(), [1.0]
    metrics.gauge("slots", "Requests at once", lambda: value[0])
    metrics.ended("ok", Stages(engine_s=0.5, encode_s=0.1, total_s=0.6), 10.0)
    value[0] = 3.0

    families = {one.name: one for one in text_string_to_metric_families(metrics.page().decode())}

    assert families["fleet_worker_slots"].samples[0].value == 3.0
    assert {"fleet_worker_requests", "fleet_worker_audio_seconds", "fleet_worker_request_seconds"} <= set(families)
    sums = {sample.name: sample.value for one in families.values() for sample in one.samples}
    assert (sums["fleet_worker_encode_seconds_sum"], sums["fleet_worker_rtf_ratio_sum"]) == (0.1, 0.05)


def test_what_failed_is_counted_and_its_stages_are_not():
    """Half of a decode would make decoding look quick."""
    metrics = WorkerMetrics()
    metrics.ended("audio_corrupt", Stages(decode_s=0.1, total_s=0.2), 0.0)

    page = metrics.page()
    assert b'fleet_worker_requests_total{code="audio_corrupt"} 1.0' in page
    assert b"fleet_worker_request_seconds_count 1.0" in page
    assert b"fleet_worker_decode_seconds_count 0.0" in page


def test_two_workers_in_one_process_count_apart():
    """No global registry."""
    first, second = WorkerMetrics(), WorkerMetrics()
    first.ended("ok", Stages(), 5.0)

    assert b"fleet_worker_audio_seconds_total 5.0" in first.page()
    assert b"fleet_worker_audio_seconds_total 0.0" in second.page()
