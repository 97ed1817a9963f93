from prometheus_client.parser import text_string_to_metric_families

from tests.router.scripted import answers, says_busy, scripted_fleet, until

PROMISED = {
    "stt_router_requests", "stt_router_queue_length", "stt_router_queue_work_seconds",
    "stt_router_queue_wait_seconds",
    "stt_router_expected_wait_seconds", "stt_router_rejected", "stt_router_retry_after_seconds",
    "stt_router_redispatch",
    "stt_router_retries", "stt_router_retry_budget_denied", "stt_router_upload_bytes", "stt_router_spool_bytes",
    "stt_router_client_cancel", "stt_router_loop_lag_seconds", "stt_router_worker_state", "stt_router_worker_inflight",
    "stt_router_worker_work_seconds", "stt_router_worker_rtf", "stt_router_worker_breaker_state",
    "stt_router_worker_breaker_open", "stt_router_worker_probe_seconds", "stt_router_worker_requests",
    "stt_router_estimate_error_ratio", "stt_router_audio_seconds", "stt_router_spool_limit_bytes",
    "fleet_expected_wait_seconds", "stt_router_realtime_sessions", "stt_router_realtime_sessions_limit",
}  # fmt: skip


async def scrape(fleet):
    async with fleet.client.get(f"{fleet.url}/metrics") as response:
        assert response.status == 200
        return {family.name: family for family in text_string_to_metric_families(await response.text())}


async def test_every_promised_series_is_there_and_parses():
    """
    Under the names that dashboards and alerts use.
    """
    async with scripted_fleet(2) as fleet:
        await fleet.transcribe()
        families = await scrape(fleet)

    assert set(families) >= PROMISED
    assert all(family.documentation for family in families.values())


async def test_retries_and_redispatches_are_told_apart():
    """
    Broken and busy are two counters.
    """
    async with scripted_fleet(2) as fleet:
        fleet.workers[0].behaviour = answers(502)
        while fleet.workers[0].requests == 0:
            await fleet.transcribe()
        fleet.workers[0].behaviour = says_busy
        before = fleet.workers[0].requests
        while fleet.workers[0].requests == before:
            await fleet.transcribe()
        await until(fleet.is_clean)
        families = await scrape(fleet)

    by_reason = {sample.labels.get("reason"): sample.value for sample in families["stt_router_retries"].samples}
    assert by_reason["gateway"] == 1
    assert next(s.value for s in families["stt_router_redispatch"].samples if s.name.endswith("_total")) == 1


async def test_labels_come_from_closed_sets():
    """
    K-17: callers cannot grow the number of series.
    """
    async with scripted_fleet(1) as fleet:
        for number in range(30):
            await fleet.transcribe(model=f"model-{number}", language="zz")
        one = sum(len(family.samples) for family in (await scrape(fleet)).values())
        for number in range(30, 60):
            await fleet.transcribe(model=f"model-{number}", language="zz")

        assert sum(len(family.samples) for family in (await scrape(fleet)).values()) == one


async def test_audio_is_counted_by_worker_and_class_of_key():
    """
    Who did the work, and for whom; never which key.
    """
    async with scripted_fleet(1, api_key="s3cret") as fleet:
        await fleet.transcribe(header_Authorization="Bearer s3cret")
        families = await scrape(fleet)

    audio = {tuple(s.labels.values()): s.value for s in families["stt_router_audio_seconds"].samples if "key" in str(s)}
    assert audio[("shared", "w0")] == 1.0


async def test_series_of_a_worker_that_is_gone_go_with_it():
    """
    Pods come with a new name each time; a router that runs for months must not remember them all.
    """
    async with scripted_fleet(2, slots=1) as fleet:
        while not all(worker.requests for worker in fleet.workers):
            await fleet.transcribe()
        pool = fleet.service.floor.pool
        await until(lambda: not pool.in_flight())
        pool.set_known([fleet.workers[0].url], 0.0)
        families = await scrape(fleet)

    named = {s.labels["worker"] for family in families.values() for s in family.samples if "worker" in s.labels}
    assert named == {"w0"}
