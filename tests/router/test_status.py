import time

from fleet.wire import WorkerState
from tests.router.made import report
from tests.router.scripted import scripted_fleet, until

FIELDS = {
    "router": {"id", "version", "uptime_s", "state", "panic", "loop_lag_ms", "rss_mb", "open_fds"},
    "discovery": {"source", "last_ok_s", "stale_s", "errors", "known"},
    "fleet": {"workers", "ready", "slots", "busy", "utilization", "rate_audio_x", "backlog_s", "expected_wait_s"},
    "queue": {"len", "max", "work_s", "oldest_s", "bytes_mem", "bytes_disk", "by_tenant", "wait_s", "max_seen"},
    "totals": {"requests", "ok", "refused", "client_cancel", "deadline", "redispatch", "retries", "bytes_in"},
    "rates_1m": {"req_s", "audio_s_per_s", "err_pct", "reject_pct"},
}


async def test_the_document_has_every_promised_field():
    """
    Dashboards and scripts may rely on the names.
    """
    async with scripted_fleet(2) as fleet:
        await fleet.transcribe()
        status = await fleet.status()

    for part, names in FIELDS.items():
        assert names <= set(status[part]), part
    for worker in status["workers"]:
        assert {
            "id",
            "boot",
            "state",
            "why",
            "since_s",
            "slots",
            "inflight",
            "running",
            "rtf",
            "breaker",
            "probe",
        } <= set(worker)
    assert {event["event"] for event in status["events"]} >= {"joined", "ready"}


async def test_every_state_has_a_why():
    """
    An operator reads what is wrong without the logs.
    """
    async with scripted_fleet(4) as fleet:
        pool = fleet.service.floor.pool
        loading, draining, ejected, refused = pool
        pool.heard(loading, report(worker_id="w0", boot="boot-w0", state=WorkerState.LOADING), time.monotonic())
        pool.hold(draining, time.monotonic(), is_held=True)
        for _ in range(3):
            pool.failed(ejected, time.monotonic(), "lost")
        pool.refused(refused, time.monotonic())

        document = fleet.service.status.to_json()

    workers = {worker["id"]: worker for worker in document["workers"]}
    assert workers["w0"]["why"] == "loads its model"
    assert "finishes" in workers["w1"]["why"]
    assert workers["w2"]["why"] == "open after: lost"
    assert workers["w2"]["breaker"]["reopen_in_s"] > 0
    assert workers["w3"]["why"] == "down: refuses connections"


async def test_reading_the_status_changes_nothing_and_is_quick():
    """
    A page that polls must not cost the fleet.
    """
    async with scripted_fleet(1) as fleet:
        await until(fleet.is_clean)
        started = time.monotonic()
        for _ in range(50):
            fleet.service.status.to_json()

        assert time.monotonic() - started < 2
        assert fleet.is_clean()
