"""What callers of /v1/jobs may rely on, over HTTP."""

import asyncio
import threading

from router.deferred.sqlite import FolderShelf
from router.limits import UNLIMITED, Limits
from tests.router.deferred.jobs_fleet import jobs_fleet, made_keys
from tests.router.scripted import HoldGate, answers, until


async def test_a_job_from_post_to_result(tmp_path):
    """202 with an id, states and progress on the way, the answer as the worker gave it."""
    async with jobs_fleet(tmp_path) as fleet:
        job_id = await fleet.submit(language="en")
        record = await fleet.ended(job_id)
        assert (record["status"], record["progress"], record["position"]) == ("succeeded", 1.0, None)
        assert record["created_at"] <= record["started_at"] <= record["finished_at"] < record["expires_at"]
        assert await fleet.result(job_id) in [(200, {"text": name}) for name in ("w0", "w1")]
        assert [one["id"] for one in (await fleet.call("GET", "/v1/jobs"))[1]["data"]] == [job_id]


async def test_a_job_takes_the_deferred_tier(tmp_path):
    """And asks for progress; the caller's own fields go with it, and its file's bytes."""
    async with jobs_fleet(tmp_path, 1) as fleet:
        await fleet.ended(await fleet.submit(b"RIFF\r\nbytes", prompt='a "b"\r\nc', stream="true"))
        worker = fleet.fleet.workers[0]
        assert worker.headers[0]["X-Transcription-Tier"] == "deferred"
        body = worker.bodies[0]
        for part in (b'name="progress"\r\n\r\ntrue', b'a "b"\r\nc', b"RIFF\r\nbytes"):
            assert part in body
        assert b'name="stream"' not in body


async def test_wrong_requests_are_refused_at_once(tmp_path):
    """As a live request's are: fields, model, file, callback."""
    async with jobs_fleet(tmp_path) as fleet:
        refused = [
            (await fleet.post(temperature="7"), 400, "invalid_value"),
            (await fleet.post(model="none-such"), 404, "model_not_found"),
            (await fleet.post(b""), 400, "audio_empty"),
            (await fleet.post(callback_url="https://example.com/"), 400, "invalid_value"),
            (await fleet.post(headers={"Idempotency-Key": "two words"}), 400, "invalid_value"),
            (await fleet.call("POST", "/v1/jobs", json={}), 415, "unsupported_media_type"),
            (await fleet.call("GET", "/v1/jobs?limit=0"), 400, "invalid_value"),
            (await fleet.call("GET", "/v1/jobs?limit=0000000001000"), 400, "invalid_value"),
            (await fleet.call("GET", "/v1/jobs?after=../x"), 400, "invalid_value"),
            (await fleet.call("GET", "/v1/jobs/nothing"), 404, "not_found"),
            (await fleet.call("GET", f"/v1/jobs/{'0' * 32}/result"), 404, "not_found"),
        ]
        for (status, answer), wanted, code in refused:
            assert (status, answer["error"]["code"]) == (wanted, code), answer
        assert (await fleet.call("GET", "/v1/jobs"))[1]["data"] == []


async def test_strict_fields_let_a_callback_through(tmp_path):
    """`callback_url` is a field of jobs, other unknown ones are not."""
    allowed = {"webhook_allow": ("hooks.example",), "webhook_secret": "s", "strict_fields": True}
    async with jobs_fleet(tmp_path, **allowed) as fleet:
        assert (await fleet.post(callback_url="https://hooks.example/x"))[0] == 202
        assert (await fleet.post(nonsense="1"))[1]["error"]["code"] == "unknown_parameter"


async def test_an_idempotency_key_means_one_job(tmp_path):
    """However its multipart boundary is drawn; another body is refused; the job is run once."""
    async with jobs_fleet(tmp_path) as fleet:
        key = {"Idempotency-Key": "order-17"}
        answers = await asyncio.gather(*(fleet.post(headers=key) for _ in range(5)))
        assert {status for status, _ in answers} == {202}
        assert len({answer["id"] for _, answer in answers}) == 1
        status, other = await fleet.post(b"RIFFother audio", headers=key)
        assert (status, other["error"]["param"]) == (400, "Idempotency-Key")
        assert (await fleet.post(language="en", headers=key))[0] == 400
        await fleet.ended(answers[0][1]["id"])
        assert sum(worker.requests for worker in fleet.fleet.workers) == 1


async def test_a_job_belongs_to_its_key(tmp_path):
    """Other keys get 404, and lists without it."""
    async with jobs_fleet(tmp_path) as fleet:
        job_id = await fleet.submit(key="mine")
        for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/result")):
            assert (await fleet.call(method, f"/v1/jobs/{job_id}{path}", key="other"))[0] == 404
        assert (await fleet.call("GET", "/v1/jobs", key="other"))[1]["data"] == []
        assert (await fleet.ended(job_id, key="mine"))["status"] == "succeeded"


async def test_slow_disks_hold_up_uploads_only(tmp_path, monkeypatch):
    """While more large uploads are written than there are threads, jobs can still be seen, and leases renewed."""
    slow, started = threading.Event(), threading.Semaphore(0)
    async with jobs_fleet(tmp_path, 1) as fleet:
        job_id = await fleet.submit()
        await fleet.ended(job_id)
        put = FolderShelf.put

        def waits(shelf, name, pieces):
            started.release()
            assert slow.wait(30)
            put(shelf, name, pieces)

        monkeypatch.setattr(FolderShelf, "put", waits)
        async with asyncio.TaskGroup() as group:
            uploads = [group.create_task(fleet.submit(b"RIFF%d" % number)) for number in range(8)]
            assert await asyncio.to_thread(started.acquire, timeout=20)
            async with asyncio.timeout(10):
                for _ in range(5):
                    assert (await fleet.record(job_id))["status"] == "succeeded"
            slow.set()
        for one in uploads:
            assert (await fleet.ended(one.result()))["status"] == "succeeded"


async def test_cancel_at_each_stage(tmp_path):
    """Queued: never run. Running: the worker is told. Over: deleted."""
    async with jobs_fleet(tmp_path, 1) as fleet:
        worker = fleet.fleet.workers[0]
        worker.behaviour = gate = HoldGate()
        running = await fleet.submit(b"RIFF1")
        await gate.arrived.wait()
        queued = await fleet.submit(b"RIFF2")
        assert (await fleet.record(queued))["position"] == 1
        for job_id in (queued, running):
            assert (await fleet.call("DELETE", f"/v1/jobs/{job_id}"))[1]["status"] == "cancelled"
            assert (await fleet.result(job_id))[0] == 404
        await until(lambda: worker.cancelled)
        gate.release.set()
        done = await fleet.submit(b"RIFF3")
        await fleet.ended(done)
        assert (await fleet.call("DELETE", f"/v1/jobs/{done}"))[1]["deleted"] is True
        assert (await fleet.call("DELETE", f"/v1/jobs/{done}"))[0] == 404
        assert worker.requests == 2


async def test_bad_audio_fails_with_the_error_of_a_live_request(tmp_path):
    """Status and envelope, at once and without another try."""
    async with jobs_fleet(tmp_path, 1) as fleet:

        async def refuses(worker, request):
            response = await answers(400, "audio_corrupt")(worker, request)
            response.text = response.text.replace('"t"', '"invalid_request_error"')
            return response

        fleet.fleet.workers[0].behaviour = refuses
        record = await fleet.ended(job_id := await fleet.submit())
        assert (record["status"], record["error"]["code"], record["attempts"]) == ("failed", "audio_corrupt", 1)
        assert (await fleet.result(job_id))[0] == 400


async def test_a_clip_longer_than_the_keys_day_fails(tmp_path):
    """It would wait for ever; a job that fits is done, and another key's limits are its own."""
    small, free = made_keys(tmp_path / "keys.json", Limits(audio_s_per_day=5), UNLIMITED)
    async with jobs_fleet(tmp_path, 1, api_keys_file=str(tmp_path / "keys.json")) as fleet:
        record = await fleet.ended(await fleet.submit(b"R" * 320_000, key=small), key=small)
        assert (record["status"], record["error"]["code"], record["attempts"]) == ("failed", "quota_exceeded", 1)
        assert "longer than that" in record["error"]["message"]
        for key, body in ((small, b"R" * 1000), (free, b"R" * 320_000)):
            assert (await fleet.ended(await fleet.submit(body, key=key), key=key))["status"] == "succeeded"


async def test_jobs_can_be_off_or_without_a_place(tmp_path, monkeypatch):
    """Off is 404; a folder that cannot be made is 503, and everything else works."""
    async with jobs_fleet(tmp_path, jobs="off") as fleet:
        assert (await fleet.post())[0] == 404
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    async with jobs_fleet(tmp_path, jobs="sqlite") as fleet:
        status, answer = await fleet.post()
        assert (status, answer["error"]["code"]) == (503, "storage_unavailable")
        assert (await fleet.fleet.transcribe())[0] == 200


async def test_a_full_store_says_so(tmp_path):
    """503 with Retry-After; live requests do not notice."""
    async with jobs_fleet(tmp_path, jobs_max=1) as fleet:
        await fleet.submit()
        status, answer = await fleet.post()
        assert (status, answer["error"]["code"]) == (503, "storage_unavailable")
        assert (await fleet.fleet.transcribe())[0] == 200


async def test_a_key_that_filled_its_share_is_told_so(tmp_path):
    """429 for it, room for the other; the same idempotency key still finds its job."""
    hoarder, other = made_keys(tmp_path / "keys.json", UNLIMITED, UNLIMITED)
    async with jobs_fleet(tmp_path, jobs_max=4, api_keys_file=str(tmp_path / "keys.json")) as fleet:
        again = {"Idempotency-Key": "1"}
        await fleet.submit(key=hoarder, headers=again)
        await fleet.submit(key=hoarder)
        status, answer = await fleet.post(key=hoarder)
        assert (status, answer["error"]["code"]) == (429, "quota_exceeded")
        assert (await fleet.post(key=hoarder, headers=again))[0] == 202
        await fleet.submit(key=other)


async def test_the_status_tells_of_jobs(tmp_path, monkeypatch):
    """How many wait, run and have ended: the document, the page and the metrics alike; nothing where there are none."""
    monkeypatch.setattr("router.deferred.service.KEEPER_S", 0.05)
    async with jobs_fleet(tmp_path, 1) as fleet:
        await fleet.ended(await fleet.submit())
        fleet.fleet.workers[0].behaviour = gate = HoldGate()
        await fleet.submit(b"RIFF1")
        await gate.arrived.wait()
        await fleet.submit(b"RIFF2")
        wanted = {"queued": 1, "running": 1, "succeeded": 1, "failed": 0, "cancelled": 0}
        async with asyncio.timeout(20):
            while not wanted.items() <= (told := (await fleet.fleet.status())["jobs"]).items():  # noqa: ASYNC110  over HTTP
                await asyncio.sleep(0.02)
        assert told["oldest_s"] < 20
        assert told["kept_bytes"] > 10
        _, page = await fleet.call("GET", "/lb-status", headers={"Accept": "text/html"})
        assert "<dt>Jobs</dt><dd><b>1</b>" in page
        assert "; 1 running" in page
        _, series = await fleet.call("GET", "/metrics")
        for line in (
            'fleet_jobs{state="queued"} 1.0',
            'fleet_jobs{state="succeeded"} 1.0',
            "fleet_jobs_oldest_seconds 0",
            "fleet_jobs_limit 1",
            "fleet_jobs_kept_limit_bytes ",
            'fleet_jobs_ended_total{outcome="succeeded"} 1.0',
            'fleet_jobs_ended_total{outcome="failed"} 0.0',
        ):
            assert line in series
        gate.release.set()
    async with jobs_fleet(tmp_path, jobs="off") as fleet:
        assert "jobs" not in await fleet.fleet.status()


async def test_expect_is_answered_before_the_body(tmp_path):
    """Too large is told to who asks first."""
    async with jobs_fleet(tmp_path, max_upload_mb=0.001) as fleet:
        headers = {"Expect": "100-continue", "Content-Type": "multipart/form-data; boundary=x"}
        status, answer = await fleet.call("POST", "/v1/jobs", data=b"x" * 2000, headers=headers)
        assert (status, answer["error"]["code"]) == (413, "body_too_large")
