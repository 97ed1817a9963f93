import asyncio
import json
import logging
from urllib.parse import parse_qs, urlencode, urlsplit

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from fleet import wire
from fleet.stages import Stages
from fleet.wire import WorkerState
from router.job import CallerGone
from tests.router.scripted import HoldGate, answers, form, scripted_fleet, stamped, takes, until


async def get(fleet, path, **headers):
    async with fleet.client.get(fleet.url + path, headers=headers) as response:
        return response.status, await response.json(content_type=None)


async def test_the_body_reaches_the_worker_byte_for_byte():
    """
    The router reads the form but never writes it again.
    """
    boundary, body = "XYZ", bytes(range(256)) * 20
    raw = (
        b'--XYZ\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n' + body
        + b'\r\n--XYZ\r\nContent-Disposition: form-data; name="timestamp_granularities[]"\r\n\r\nword\r\n--XYZ--\r\n'
    )  # fmt: skip
    async with scripted_fleet(1) as fleet:
        headers = {"Content-Type": f"multipart/form-data; boundary={boundary}", "X-Request-Id": "mine-1"}
        async with fleet.client.post(f"{fleet.url}/v1/audio/transcriptions", data=raw, headers=headers) as response:
            assert response.status == 200
            assert response.headers["X-Request-Id"] == "mine-1"
            assert response.headers[wire.WORKER] == "w0"

        assert fleet.workers[0].bodies == [raw]
        assert fleet.workers[0].headers[0]["X-Request-Id"] == "mine-1"
        assert "Authorization" not in fleet.workers[0].headers[0]


@pytest.mark.parametrize("path", ["/v1/audio/transcriptions", "/audio/transcriptions", "/v1/audio/transcriptions/"])
async def test_routes_answer_without_v1_and_with_a_trailing_slash(path):
    """
    Some clients' base URL lacks /v1.
    """
    async with scripted_fleet(1) as fleet, fleet.client.post(fleet.url + path, data=form(b"RIFFx")) as response:
        assert response.status == 200


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"temperature": "1.01"}, "temperature"),
        ({"temperature": "nan"}, "temperature"),
        ({"response_format": "yaml"}, "response_format"),
        ({"language": "zz"}, "language"),
        ({"model": "gpt-9"}, "model"),
    ],
)
async def test_a_bad_field_is_refused_at_the_door_and_costs_no_slot(fields, param):
    """
    The envelope names the field; no worker hears of it.
    """
    async with scripted_fleet(1) as fleet:
        status, headers, body = await fleet.transcribe(**fields)

        assert status == (404 if param == "model" else 400)
        assert set(body["error"]) == {"message", "type", "param", "code"}
        assert body["error"]["param"] == param
        assert "X-Request-Id" in headers
        assert fleet.workers[0].requests == 0


async def test_refusals_before_the_body_need_no_body():
    """
    Too large by Content-Length, encoded, or no form at all: said at once.
    """
    async with scripted_fleet(1, max_upload_mb=0.01) as fleet:
        cases = {
            413: ({"Content-Type": "multipart/form-data; boundary=x"}, b"x" * 20_000),
            415: ({"Content-Type": "application/json"}, b"{}"),
        }
        for status, (headers, body) in cases.items():
            url = f"{fleet.url}/v1/audio/transcriptions"
            async with fleet.client.post(url, data=body, headers=headers) as response:
                assert response.status == status
                assert (await response.json())["error"]["code"] in ("body_too_large", "unsupported_media_type")
        url = f"{fleet.url}/v1/audio/transcriptions"
        headers = {"Content-Type": "multipart/form-data; boundary=x", "Content-Encoding": "gzip"}
        async with fleet.client.post(url, data=b"zzz", headers=headers) as response:
            assert response.status == 415


async def test_a_chunked_body_is_counted_as_it_comes():
    """
    Without Content-Length the limit holds all the same.
    """

    async def endless():
        yield b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\n'
        for _ in range(100):
            yield b"a" * 10_000

    async with scripted_fleet(1, max_upload_mb=0.1) as fleet:
        headers = {"Content-Type": "multipart/form-data; boundary=x"}
        async with fleet.client.post(f"{fleet.url}/v1/audio/transcriptions", data=endless(), headers=headers) as r:
            assert r.status == 413
        await until(fleet.is_clean)


async def test_expect_100_continue_is_answered_with_the_refusal_and_no_byte_is_sent():
    """
    A caller who asks first is told before it uploads.
    """
    async with scripted_fleet(1, max_queue=0) as fleet:
        gate = fleet.workers[0].behaviour = HoldGate()
        host, port = fleet.url.removeprefix("http://").split(":")
        async with asyncio.TaskGroup() as group:
            group.create_task(fleet.transcribe())
            await gate.arrived.wait()
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(
                b"POST /v1/audio/transcriptions HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
                b"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 5000000\r\n\r\n"
            )
            async with asyncio.timeout(5):
                head = await reader.readuntil(b"\r\n\r\n")
            writer.close()
            gate.release.set()

        assert head.startswith(b"HTTP/1.1 503")
        assert b"Retry-After: " in head


async def test_a_full_queue_is_503_with_a_whole_number_of_seconds():
    """
    Both spellings of the header, 1..60 s, and the envelope.
    """
    async with scripted_fleet(1, max_queue=1) as fleet:
        gate = fleet.workers[0].behaviour = HoldGate()
        async with asyncio.TaskGroup() as group:
            group.create_task(fleet.transcribe())
            await gate.arrived.wait()
            group.create_task(fleet.transcribe())
            await until(lambda: len(fleet.service.floor.queue) == 1)

            status, headers, body = await fleet.transcribe()

            assert (status, body["error"]["code"]) == (503, "overloaded")
            assert 1 <= int(headers["Retry-After"]) <= 60
            assert int(headers["retry-after-ms"]) == 1000 * int(headers["Retry-After"])
            gate.release.set()
        await until(fleet.is_clean)


async def test_health_and_models_speak_for_the_fleet():
    """
    200 while one worker is ready; the list has what is loaded and the alias.
    """
    async with scripted_fleet(2) as fleet:
        assert (await get(fleet, "/health"))[1]["status"] == "healthy"
        assert (await get(fleet, "/healthz"))[0] == 200
        assert (await get(fleet, "/readyz"))[0] == 200
        status, models = await get(fleet, "/v1/models")
        assert (status, [model["id"] for model in models["data"]]) == (200, ["tiny", "whisper-1"])
        assert (await get(fleet, "/v1/models/Systran%2Ffaster-whisper-tiny"))[0] == 200
        assert (await get(fleet, "/v1/models/Systran/faster-whisper-tiny"))[0] == 200
        status, error = await get(fleet, "/v1/models/nope")
        assert (status, error["error"]["code"]) == (404, "model_not_found")

        for worker in fleet.workers:
            worker.report = type(worker.report)(**{**worker.report.to_json(), "state": WorkerState.DRAINING})
        await until(lambda: not any(worker.is_ready for worker in fleet.service.floor.pool))
        assert (await get(fleet, "/health"))[0] == 503
        assert (await get(fleet, "/readyz"))[0] == 503
        assert (await get(fleet, "/healthz"))[0] == 200


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nope", 404), ("PUT", "/health", 405)])
async def test_every_error_has_the_envelope(method, path, status):
    """
    Also those that never reach a handler of ours.
    """
    async with scripted_fleet(1) as fleet, fleet.client.request(method, fleet.url + path) as response:
        assert response.status == status
        assert set((await response.json())["error"]) == {"message", "type", "param", "code"}
        assert "X-Request-Id" in response.headers


async def test_keys_are_checked_before_the_body_is_read():
    """
    Bearer and X-API-Key; nothing else; health stays open.
    """
    async with scripted_fleet(1, api_key="sesame") as fleet:
        url = f"{fleet.url}/v1/audio/transcriptions"
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic sesame"}):
            async with fleet.client.post(url, data=form(b"RIFFx"), headers=headers) as response:
                assert response.status == 401
                assert (await response.json())["error"]["code"] == "invalid_api_key"
        assert (await get(fleet, "/lb-status"))[0] == 401
        assert (await get(fleet, "/health"))[0] == 200
        for headers in ({"Authorization": "bearer sesame"}, {"X-API-Key": "sesame"}):
            async with fleet.client.post(url, data=form(b"RIFFx"), headers=headers) as response:
                assert response.status == 200
        assert fleet.workers[0].requests == 2


async def test_draining_finishes_what_is_here_and_refuses_the_rest():
    """
    The answer that was promised is given; who comes now is told to go elsewhere.
    """
    async with scripted_fleet(1, drain_timeout_s=10) as fleet:
        gate = fleet.workers[0].behaviour = HoldGate()
        async with asyncio.TaskGroup() as group:
            first = group.create_task(fleet.transcribe())
            await gate.arrived.wait()
            draining = group.create_task(fleet.service.drain())
            await until(lambda: fleet.service.status.state == "draining")

            status, headers, body = await fleet.transcribe()
            assert (status, body["error"]["code"]) == (503, "draining")
            assert "Retry-After" in headers
            assert not draining.done()
            gate.release.set()
        assert first.result()[0] == 200


async def test_metrics_and_status_count_the_same_requests():
    """
    One request, one count, at one place.
    """
    async with scripted_fleet(1) as fleet:
        await fleet.transcribe()
        fleet.workers[0].behaviour = answers(400)
        await fleet.transcribe()
        await fleet.transcribe(temperature="9")

        totals = (await fleet.status())["totals"]
        async with fleet.client.get(f"{fleet.url}/metrics") as response:
            metrics = await response.text()

        assert (totals["requests"], totals["ok"], totals["caller_error"]) == (3, 1, 2)
        assert 'stt_router_requests_total{code="200",reason="ok"} 1.0' in metrics
        assert 'stt_router_requests_total{code="400",reason="invalid_value"} 1.0' in metrics
        assert "fleet_expected_wait_seconds 0.0" in metrics
        assert 'stt_router_worker_state{state="ready",worker="w0"} 1.0' in metrics


async def test_status_shows_what_runs_and_what_waits():
    """
    Who runs where, for how long, and how much is behind it.
    """
    async with scripted_fleet(2) as fleet:
        gate = HoldGate()
        for worker in fleet.workers:
            worker.behaviour = gate
        async with asyncio.TaskGroup() as group:
            for _ in range(5):
                group.create_task(fleet.transcribe())
            await until(lambda: len(fleet.service.floor.queue) == 3)
            status = await fleet.status()
            gate.release.set()

        json.dumps(status)
        assert status["title"] == "Load Balancer Status"
        assert (status["fleet"]["busy"], status["queue"]["len"]) == (2, 3)
        assert status["fleet"]["backlog_s"] > 0
        assert [len(worker["running"]) for worker in status["workers"]] == [1, 1]
        assert {worker["state"] for worker in status["workers"]} == {"ready"}


async def test_one_slow_upload_holds_no_slot():
    """
    A worker is taken when the body is complete, not before.
    """
    async with scripted_fleet(1) as fleet:
        go_on = asyncio.Event()

        async def slowly():
            yield b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\nRIFF'
            await go_on.wait()
            yield b"end\r\n--x--\r\n"

        headers = {"Content-Type": "multipart/form-data; boundary=x"}
        async with asyncio.TaskGroup() as group:

            async def upload():
                url = f"{fleet.url}/v1/audio/transcriptions"
                async with fleet.client.post(url, data=slowly(), headers=headers) as response:
                    return response.status

            slow = group.create_task(upload())
            await until(lambda: fleet.service.status.open_requests == 1)
            assert (await fleet.transcribe())[0] == 200
            go_on.set()
        assert slow.result() == 200


async def test_a_large_body_goes_to_disk_and_arrives_whole():
    """
    Past a megabyte the spool is a file, and the file is gone afterwards.
    """
    body = b"RIFF" + bytes(5_000_000)
    async with scripted_fleet(1) as fleet:
        fleet.workers[0].behaviour = takes(0.2)
        async with asyncio.TaskGroup() as group:
            sent = group.create_task(fleet.transcribe(body))
            await until(lambda: fleet.service.spool.disk_bytes > 5_000_000)
            assert fleet.service.spool.memory_bytes < 2_000_000

        assert sent.result()[0] == 200
        assert body in fleet.workers[0].bodies[0]
        await until(fleet.is_clean)


async def test_a_full_spool_refuses_and_recovers():
    """
    Scenario 21: 503 with Retry-After; what fits in memory is still served.
    """
    async with scripted_fleet(1, spool_disk_mb=1) as fleet:
        status, headers, body = await fleet.transcribe(b"RIFF" + bytes(5_000_000))

        assert (status, body["error"]["code"]) == (503, "storage_unavailable")
        assert "Retry-After" in headers
        assert (await fleet.transcribe())[0] == 200
        await until(fleet.is_clean)


async def test_an_answer_that_is_no_workers_is_not_passed_on():
    """
    F-09: something else listens there; the caller gets another worker's answer.
    """
    async with scripted_fleet(2) as fleet:

        async def stranger(_worker, _request):
            return aiohttp.web.Response(text="<html>hello</html>", content_type="text/html")

        fleet.workers[0].behaviour = stranger

        results = [await fleet.transcribe() for _ in range(4)]

        assert {body["text"] for _, _, body in results} == {"w1"}


@pytest.mark.parametrize(
    ("path", "part"),
    [
        ("/transcribe", "audio"),
        ("/transcribe?language=en", "file"),
        ("/asr?output=srt", "audio_file"),
        ("/inference", "file"),
    ],
)
async def test_other_services_forms_reach_the_worker_as_they_came(path, part):
    """
    Same queue, same limits; path and query unchanged.
    """
    async with scripted_fleet(1) as fleet:
        data = aiohttp.FormData()
        data.add_field(part, b"RIFFx", filename="a.wav")
        async with fleet.client.post(fleet.url + path, data=data) as response:
            assert response.status == 200
        assert fleet.workers[0].paths == [path]

        data = aiohttp.FormData()
        data.add_field("wrong", b"RIFFx", filename="a.wav")
        async with fleet.client.post(fleet.url + path, data=data) as response:
            assert (await response.json())["error"]["code"] == "missing_file"


async def test_the_answer_and_the_log_say_where_the_time_went(caplog):
    """
    The worker's stages, with the router's wait and total; the same numbers in header and access line.
    """
    timing = "queue;dur=1.5, decode;dur=2.0, encode;dur=12.0, generate;dur=30.0, engine;dur=50.0, total;dur=55.0"

    async def times(worker, _):
        headers = stamped(worker) | {"Server-Timing": timing}
        return web.json_response({"text": ""}, headers=headers)

    caplog.set_level(logging.INFO, "router.access")
    async with scripted_fleet(1) as fleet:
        fleet.workers[0].behaviour = times
        _, headers, _ = await fleet.transcribe()

    stages = Stages.from_header(headers["Server-Timing"])
    assert (stages.decode_s, stages.encode_s, stages.generate_s, stages.engine_s) == (0.002, 0.012, 0.03, 0.05)
    assert stages.queue_s >= 0.0015
    assert stages.total_s > 0
    assert int(headers["X-Fleet-Queue-Ms"]) == round(stages.queue_s * 1000)
    line = caplog.records[-1]
    assert (line.decode_ms, line.encode_ms, line.generate_ms, line.engine_ms) == (2, 12, 30, 50)
    assert line.queue_ms == round(1000 * stages.queue_s, 1)
    assert line.took_ms > 0


async def test_a_caller_who_hangs_up_in_the_middle_of_a_write_is_no_error(caplog):
    """
    Neither answered nor logged as an accident: a broken line is the caller's good right.
    """

    async def serve(*_: object) -> None:
        raise CallerGone

    async with scripted_fleet(1) as fleet:
        fleet.service.intake.serve = serve
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await fleet.transcribe()
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_an_accident_in_the_middle_of_a_stream_is_an_event_and_not_a_second_answer():
    """
    What nobody expected, after the answer began: the head of a 500 would stand in the middle of the events.
    """

    def accident(*_: object) -> None:
        raise RuntimeError("unexpected")

    async def streams(worker, request):
        stream = web.StreamResponse(headers=stamped(worker, **{"Content-Type": "text/event-stream"}))
        await stream.prepare(request)
        await stream.write(b'data: {"delta":"a"}\n\n')
        return stream

    async with scripted_fleet(1) as fleet:
        fleet.service.dispatcher.on_attempt = accident
        fleet.workers[0].behaviour = streams
        _, _, text = await fleet.transcribe(stream="true")
        fleet.workers[0].behaviour = answers(400)
        status, _, answer = await fleet.transcribe()

    assert text.startswith('data: {"delta":"a"}\n\ndata: {"error":') and text.endswith("}\n\n")
    assert (status, answer["error"]["code"]) == (500, "internal_error")


@pytest.mark.parametrize("prompt", ["C# and F", "Tom & Jerry", "100% sure", "50%25", "a%41", "a+b; x=y", "h\u00e9"])
async def test_a_query_means_on_the_worker_what_it_meant_at_the_door(prompt):
    """
    Whatever was escaped stays escaped, once.
    """
    query = urlencode({"initial_prompt": prompt, "output": "json"})
    async with scripted_fleet(1) as fleet:
        data = aiohttp.FormData()
        data.add_field("audio_file", b"RIFF", filename="a.wav")
        async with fleet.client.post(URL(f"{fleet.url}/asr?{query}", encoded=True), data=data) as response:
            assert response.status == 200

        assert parse_qs(urlsplit(fleet.workers[0].paths[0]).query) == {"initial_prompt": [prompt], "output": ["json"]}


@pytest.mark.parametrize(
    ("kind", "outcome"), [("invalid_request_error", "caller_error"), ("server_error", "failed"), (None, "ok")]
)
async def test_a_stream_that_ends_with_an_error_is_counted_as_one(kind, outcome):
    """
    Its status was 200 when nobody knew yet; alerts, quotas and the access log go by how it ended. A text that quotes an
    error is none.
    """
    event = (
        {"delta": 'he said data: {"error": {"type": "server_error"}}'} if kind is None else {"error": {"type": kind}}
    )

    async def streams(worker, request):
        stream = web.StreamResponse(headers=stamped(worker, **{"Content-Type": "text/event-stream"}))
        await stream.prepare(request)
        for each in ({"delta": "a"}, event):
            await stream.write(b"data: " + json.dumps(each, separators=(",", ":")).encode() + b"\n\n")
        return stream

    async with scripted_fleet(1) as fleet:
        fleet.workers[0].behaviour = streams
        assert (await fleet.transcribe(stream="true"))[0] == 200
        totals = (await fleet.status())["totals"]

    assert {name: totals[name] for name in ("ok", "caller_error", "failed")} == {
        "ok": 0, "caller_error": 0, "failed": 0, outcome: 1
    }  # fmt: skip
