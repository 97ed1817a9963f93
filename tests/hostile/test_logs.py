"""Real processes at their most talkative: no key, no speech, no prompt and no file name in anything they log."""

import asyncio
import io
import json
import signal
import wave
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest

from router.key_file import KeyFile
from router.limits import Limits
from tests.integration.processes import Service, up

ADMIN, TOKEN, WRONG = "admin-canary-0001", "token-canary-0002", "wrong-canary-0003"
SAID = ("five", "seven", "nine")  # of the sample; words that no log line has otherwise


def form(clip: bytes, **fields: str) -> aiohttp.FormData:
    data = aiohttp.FormData()
    for name, value in fields.items():
        data.add_field(name, value)
    data.add_field("file", io.BytesIO(clip), filename="file-canary-0004.wav", content_type="audio/wav")
    return data


def noise() -> bytes:
    """A minute of it, on which a worker is busy for long enough to be killed."""
    into = io.BytesIO()
    with wave.open(into, "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(bytes(range(256)) * (16_000 * 2 * 60 // 256))
    return into.getvalue()


@pytest.mark.real
async def test_k04_nothing_that_was_said_or_sent_is_logged(tmp_path: Path, sample: tuple[bytes, str]):
    """Answers, streams, refusals, a key revoked, a worker killed. The audit lines tell who and how much."""
    clip, text = sample
    file, audit = KeyFile.at(str(tmp_path / "keys.json")), tmp_path / "audit.jsonl"
    key, record = file.add("crm", Limits(requests=50, per_s=60), now=datetime.now(UTC), expires_at=None)
    talkative = {"LOG_LEVEL": "debug", "LOG_FORMAT": "json", "WORKER_TOKEN": TOKEN}
    worker = Service("worker", "--model", "spoken-digits", **talkative)
    keys = {"API_KEYS_FILE": str(file.path), "ADMIN_KEY": ADMIN, "AUDIT_LOG": str(audit), "HEADER_TIMEOUT_S": "1"}
    keeping = {"CACHE": "memory", "JOBS": f"sqlite:///{tmp_path}/jobs.sqlite"}
    router = Service("router", "--workers", worker.url, **talkative, **keys, **keeping)
    async with up(worker, router) as client:
        url, good = f"{router.url}/v1/audio/transcriptions", {"Authorization": f"Bearer {key}"}

        async def post(clip: bytes = clip, query: str = "", headers: dict[str, str] = good, **fields: str):
            async with client.post(url + query, data=form(clip, **fields), headers=headers) as response:
                return response.status, await response.text()

        status, body = await post(prompt="prompt-canary-0005")
        assert (status, json.loads(body)["text"]) == (200, text)
        assert (await post(stream="true", response_format="json"))[0] == 200
        assert (await post(response_format="verbose_json", hotwords="word-canary-0006"))[0] == 200
        assert (await post(prompt="prompt-canary-0005"))[0] == 200  # from the cache
        for path in ("jobs", "audio/transcriptions_batch"):
            sent = form(clip, prompt="prompt-canary-0009")
            async with client.post(f"{router.url}/v1/{path}", data=sent, headers=good) as response:
                assert response.status in (200, 202)
        await turns(lambda: is_done(client, router.url, good))
        assert (await post(f"?api_key={key}".encode(), f"?api_key={key}"))[0] == 400
        assert (await post(temperature="value-canary-0007"))[0] == 400
        assert (await post(model="model-canary-0008"))[0] == 404
        assert (await post(headers={"X-API-Key": WRONG}, query=f"?key={key}"))[0] == 401
        for secret, wanted in ((ADMIN, 200), (WRONG, 401)):
            address = f"{router.url}/admin/workers/{worker.url.removeprefix('http://')}/undrain"
            async with client.post(address, headers={"X-API-Key": secret}) as response:
                assert response.status in (wanted, 404)
        async with client.get(f"{worker.url}/load", headers={"Authorization": f"Bearer {WRONG}"}) as response:
            assert response.status == 401

        for mangled in (
            f"GET /{key} HTTP/1.1\r\nHost: a/{key}\r\n\r\n",
            f"GET / HTTP/1.1\r\nHost: x\r\nX-API-Key : {key}\r\n\r\n",
            f"{key}\xff\n\r\n\r\n",
        ):
            reader, writer = await asyncio.open_connection("127.0.0.1", router.port)
            writer.write(mangled.encode())
            async with asyncio.timeout(20):
                await reader.read(1000)
            writer.close()

        async with asyncio.TaskGroup() as group:
            lost = group.create_task(post(noise(), headers=good | {"X-Request-Timeout": "4"}))
            await turns(lambda: is_busy(client, router.url, good))
            worker.send(signal.SIGKILL)
        assert lost.result()[0] in (502, 503, 504)
        file.revoke("crm")
        await turns(lambda: is_refused(client, router.url, good))
        await turns(lambda: has_logged(router, "keys read again"))  # lines are written a little later

        logged = router.log.read_text() + worker.log.read_text()
        lines = [json.loads(line) for line in audit.read_text().splitlines()]
    assert "stay in force" not in logged
    for hidden in (key, key.rpartition(record.id)[2][1:20], record.digest, "canary", *SAID):
        assert hidden not in logged
        assert hidden not in audit.read_text()
    assert {line["key_name"] for line in lines} == {"crm"}
    assert {line["key_id"] for line in lines} == {record.id}
    assert [line["outcome"] for line in lines[:3]] == ["ok", "ok", "ok"]
    assert lines[0]["audio_s"] > 1
    assert {line["audio_s"] for line in lines if line["status"] in (400, 404)} == {0}


async def turns(holds: Callable[[], Awaitable[bool]]) -> None:
    """Ask until it is so."""
    async with asyncio.timeout(30):
        while not await holds():  # noqa: ASYNC110  there is no event across processes
            await asyncio.sleep(0.02)


async def is_busy(client: aiohttp.ClientSession, url: str, headers: dict[str, str]) -> bool:
    """Whether the worker has something to do."""
    async with client.get(f"{url}/lb-status", headers=headers) as response:
        return bool((await response.json())["fleet"]["busy"])


async def is_done(client: aiohttp.ClientSession, url: str, headers: dict[str, str]) -> bool:
    """Whether the job is over and its transcript is there."""
    async with client.get(f"{url}/v1/jobs", headers=headers) as response:
        (job,) = (await response.json())["data"]
    async with client.get(f"{url}/v1/jobs/{job['id']}/result", headers=headers) as response:
        return response.status == 200


async def is_refused(client: aiohttp.ClientSession, url: str, headers: dict[str, str]) -> bool:
    """Whether the key is no longer good."""
    async with client.get(f"{url}/v1/models", headers=headers) as response:
        return response.status == 401


async def has_logged(service: Service, text: str) -> bool:
    """Whether it stands in the log."""
    return text in service.log.read_text()
