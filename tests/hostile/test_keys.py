"""Who gets in: every route with every kind of key, wrong keys in every shape, and no key or speech in any log."""

import asyncio
import contextlib
import logging
import time
import tracemalloc
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest

from fleet.errors import RateLimited, Unauthorized
from router.key_file import KeyFile
from router.keyring import Keyring, issue
from router.keys import Keys
from router.limits import UNLIMITED
from router.lockout import ADDRESSES_KEPT, WRONG_AT_ONCE
from tests.chaos.clean import assert_clean
from tests.router.scripted import ScriptedFleet, scripted_fleet, until

USER, ADMIN = "sk-canary-user", "sk-canary-admin"

# Status without a key, with the callers' key, with the admin key. A new route must be added here.
OPEN, CLOSED = (True, True, True), (False, True, False)
ADMINS = (False, False, True)
ROUTES = {
    "GET /": OPEN,
    "HEAD /": OPEN,
    "GET /docs": OPEN,
    "HEAD /docs": OPEN,
    "GET /openapi.json": OPEN,
    "HEAD /openapi.json": OPEN,
    "GET /static/{name}": OPEN,
    "HEAD /static/{name}": OPEN,
    "GET /health": OPEN,
    "HEAD /health": OPEN,
    "GET /healthz": OPEN,
    "HEAD /healthz": OPEN,
    "GET /readyz": OPEN,
    "HEAD /readyz": OPEN,
    "GET /metrics": OPEN,
    "HEAD /metrics": OPEN,
    "GET /lb-status": CLOSED,
    "HEAD /lb-status": CLOSED,
    "GET /v1/models": CLOSED,
    "HEAD /v1/models": CLOSED,
    "GET /v1/models/{id}": CLOSED,
    "DELETE /v1/models/{id}": CLOSED,
    "POST /v1/audio/transcriptions": CLOSED,
    "POST /v1/audio/transcriptions_batch": CLOSED,
    "POST /v1/audio/translations": CLOSED,
    "POST /v1/jobs": CLOSED,
    "GET /v1/jobs": CLOSED,
    "GET /v1/jobs/{id}": CLOSED,
    "DELETE /v1/jobs/{id}": CLOSED,
    "GET /v1/jobs/{id}/result": CLOSED,
    "POST /transcribe": CLOSED,
    "POST /asr": CLOSED,
    "POST /inference": CLOSED,
    "GET /v1/realtime": CLOSED,
    "GET /stats": CLOSED,
    "DELETE /cache": ADMINS,
    "POST /admin/workers": ADMINS,
    "DELETE /admin/workers/{id}": ADMINS,
    "POST /admin/workers/{id}/drain": ADMINS,
    "POST /admin/workers/{id}/undrain": ADMINS,
    "POST /admin/workers/{id}/reset": ADMINS,
}


@pytest.fixture
async def fleet() -> AsyncIterator[ScriptedFleet]:
    async with scripted_fleet(1, api_key=USER, admin_key=ADMIN) as one, assert_clean(one, USER):
        yield one


def entry(method: str, path: str) -> str:
    """The table's name for a route: spellings without /v1 and with a slash at the end are the same route."""
    path = path.rstrip("/") or "/"
    return f"{method} {path}" if f"{method} {path}" in ROUTES else f"{method} /v1{path}"


async def test_k06_every_route_asks_for_the_key_that_the_table_says(fleet: ScriptedFleet):
    """None, the callers' and the admin's, on every spelling of every route."""
    routes = {(route.method, route.resource.canonical) for route in fleet.service.app.router.routes() if route.resource}
    assert {entry(*route) for route in routes} == set(ROUTES)
    for method, path in sorted(routes):
        url = fleet.url + path.replace("{id}", "x").replace("{name}", "x")
        for key, may in zip(("", USER, ADMIN), ROUTES[entry(method, path)], strict=True):
            headers = {"Authorization": f"Bearer {key}"} if key else {}
            async with fleet.client.request(method, url, headers=headers) as response:
                assert (response.status not in (401, 403)) is may, f"{method} {path} with {key or 'no key'}"


WRONG = [
    b"",
    b"Authorization: Bearer\r\n",
    b"Authorization: Bearer wrong\r\n",
    b"Authorization: Bearer " + USER.encode() + b"x\r\n",
    b"Authorization: Bearer " + USER.encode()[:-1] + b"\r\n",
    b"Authorization: Bearer Bearer " + USER.encode() + b"\r\n",
    b"Authorization: Basic " + USER.encode() + b"\r\n",
    b"Authorization: Bearer \xff\xfe\x80\r\n",
    b"Authorization: Bearer " + "schlüssel".encode() + b"\r\n",
    b"Authorization: Bearer " + b"k" * 7_000 + b"\r\n",
    b"X-API-Key: " + ADMIN.encode() + b"\r\n",
]


@pytest.mark.parametrize("header", WRONG, ids=range(len(WRONG)))
async def test_k01_wrong_keys_all_look_the_same(fleet: ScriptedFleet, header: bytes):
    """401 at once, before the body: the same bytes whatever was wrong; a key in the query is none."""
    port = fleet.url.rpartition(":")[2]
    reader, writer = await asyncio.open_connection("127.0.0.1", int(port))
    path = b"/v1/audio/transcriptions?api_key=" + USER.encode()
    writer.write(b"POST " + path + b" HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n" + header + b"\r\n")
    async with asyncio.timeout(10):
        head = await reader.readuntil(b"\r\n\r\n")
        body = await reader.readuntil(b"}}")
    writer.close()
    assert head.startswith(b"HTTP/1.1 401 ")
    assert body.startswith(b'{"error": {"message": "Missing or incorrect API key."')
    assert b"canary" not in head + body


@pytest.mark.parametrize(
    "target",
    [
        "/v1/%61udio/transcriptions",
        "/v1/audio%2Ftranscriptions",
        "/health/..%2fv1/models",
        "/health/../v1/models",
        "/v1/models;x",
        "/v1/models/",
        "//v1/models",
        "/./v1/models",
        "/static/../v1/models",
        "/static/..%2f..%2fkeys.py",
        "http://x/v1/models",
        "*",
    ],
)
async def test_h11_no_spelling_of_a_path_gets_around_the_key(fleet: ScriptedFleet, target: str):
    """Encoded, absolute, with dots: what matches a closed route needs the key, the rest is not there."""
    for method in ("GET", "POST", "HEAD", "OPTIONS", "get"):
        reader, writer = await asyncio.open_connection("127.0.0.1", int(fleet.url.rpartition(":")[2]))
        writer.write(
            f"{method} {target} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()
        )
        async with asyncio.timeout(10):
            answer = await reader.read()
        writer.close()
        assert int(answer.split()[1]) in (400, 401, 404, 405)


async def test_k04_neither_keys_nor_speech_are_logged(fleet: ScriptedFleet, caplog: pytest.LogCaptureFixture):
    """At the most talkative level, for answers and for refusals; `w0` is what the worker hears in every clip."""
    caplog.set_level(logging.DEBUG)
    fleet.workers[0].name = "spoken-canary"
    bearer = {"header_Authorization": f"Bearer {USER}"}
    status, _, answer = await fleet.transcribe(prompt="prompt-canary", **bearer)
    assert (status, answer["text"]) == (200, "spoken-canary")
    assert (await fleet.transcribe(header_Authorization="Bearer wrong-canary"))[0] == 401
    assert (await fleet.transcribe(temperature="value-canary", **bearer))[0] == 400
    shown = [line for line in caplog.records if line.name.startswith(("router", "fleet", "worker"))]
    assert shown
    for line in shown:
        text = f"{line.getMessage()} {vars(line)}".replace("'worker': 'spoken-canary'", "")
        assert "canary" not in text


async def test_k01_revoked_and_expired_keys_are_wrong_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The same 401 as for one that never was; a good key of the same file is good."""
    monkeypatch.setattr("router.key_watch.INTERVAL_S", 0.05)
    file, now = KeyFile.at(str(tmp_path / "keys.json")), datetime.now(UTC)
    good, _ = file.add("good", UNLIMITED, now=now, expires_at=None)
    revoked, _ = file.add("revoked", UNLIMITED, now=now, expires_at=None)
    expired, _ = file.add("expired", UNLIMITED, now=now, expires_at=now + timedelta(microseconds=1))
    async with scripted_fleet(1, api_keys_file=str(file.path)) as fleet:
        assert (await fleet.transcribe(header_Authorization=f"Bearer {revoked}"))[0] == 200
        file.revoke("revoked")
        await until(lambda: fleet.service.keys.tenant_named("revoked") is None)
        refusals = set()
        for key in (revoked, expired, "never-was", f"{good} {good}"):
            status, _, answer = await fleet.transcribe(header_Authorization=f"Bearer {key}")
            refusals.add((status, str(answer)))
        assert {status for status, _ in refusals} == {401}
        assert len(refusals) == 1
        assert (await fleet.transcribe(header_Authorization=f"Bearer {good}"))[0] == 200
        assert fleet.workers[0].requests == 2


@pytest.fixture
async def unvisited() -> AsyncIterator[ScriptedFleet]:
    """No right key came from here yet, which would be remembered."""
    async with scripted_fleet(1, api_key=USER, admin_key=ADMIN) as one:
        yield one


async def test_k05_guessing_is_slowed_down_for_who_guesses(unvisited: ScriptedFleet):
    """429 after twenty wrong keys, for the right one too; from another address everything is as ever."""
    fleet = unvisited
    url = f"{fleet.url}/v1/models"
    for _ in range(WRONG_AT_ONCE):
        async with fleet.client.get(url, headers={"X-API-Key": "wrong"}) as response:
            assert response.status == 401
    for key in ("wrong", USER):
        async with fleet.client.get(url, headers={"X-API-Key": key}) as response:
            assert response.status == 429
            assert (await response.json())["error"]["code"] == "rate_limit_exceeded"
            assert 1 <= int(response.headers["Retry-After"]) <= 3
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(local_addr=("127.0.0.2", 0))) as elsewhere:
        for key, status in ((USER, 200), ("wrong", 401)):
            async with elsewhere.get(url, headers={"X-API-Key": key}) as response:
                assert response.status == status
        async with elsewhere.get(f"{fleet.url}/health") as response:
            assert response.status == 200


def test_h27_distinct_wrong_keys_cost_little_and_leave_nothing():
    """From any number of addresses: under 100 us of processor time for each, and memory that stays as it is."""
    file_keys = Keyring(b"p" * 32, [issue("crm", b"p" * 32, datetime.now(UTC))[1]])
    keys = Keys(USER, ADMIN)
    keys.replace(file_keys)

    def knock(first: int, count: int) -> None:
        for number in range(first, first + count):
            with contextlib.suppress(Unauthorized, RateLimited):
                keys.tenant(f"sk-wf-{number:08d}-canary", f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")

    began_s = time.process_time()
    knock(0, 10_000)
    assert (time.process_time() - began_s) / 10_000 < 100e-6
    assert ADDRESSES_KEPT < 10_000  # so the table is full
    tracemalloc.start()
    knock(10_000, 10_000)
    grown_bytes = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert grown_bytes < 2_000_000


async def test_k13_no_browser_takes_a_transcript_for_a_page(fleet: ScriptedFleet):
    """Whatever was dictated: errors, texts and pages all say what they are, and that nothing is to be sniffed."""
    for path in ("/v1/models", "/health", "/nowhere", "/", "/metrics"):
        async with fleet.client.get(fleet.url + path, headers={"X-API-Key": USER}) as response:
            assert response.headers["X-Content-Type-Options"] == "nosniff"
    _, headers, _ = await fleet.transcribe(header_Authorization=f"Bearer {USER}")
    assert headers["X-Content-Type-Options"] == "nosniff"


async def test_k17_what_callers_send_makes_no_series(fleet: ScriptedFleet):
    """Hundreds of models, languages and paths leave /metrics with as many series as one of each did."""

    async def series() -> int:
        async with fleet.client.get(f"{fleet.url}/metrics") as response:
            return sum(not line.startswith("#") for line in (await response.text()).splitlines())

    async def ask(number: int) -> None:
        bearer = {"header_Authorization": f"Bearer {USER}"}
        assert (await fleet.transcribe(model=f"canary{number}", **bearer))[0] == 404
        assert (await fleet.transcribe(language=f"canary{number}", **bearer))[0] == 400
        await (await fleet.client.get(f"{fleet.url}/canary{number}")).read()

    await ask(0)
    before = await series()
    for number in range(1, 100):
        await ask(number)
    assert await series() == before


async def test_s10_a_bad_file_of_keys_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    """Keys stay good, connections open; a key that is added when the file is good again is good too."""
    monkeypatch.setattr("router.key_watch.INTERVAL_S", 0.05)
    file, now = KeyFile.at(str(tmp_path / "keys.json")), datetime.now(UTC)
    key, _ = file.add("crm", UNLIMITED, now=now, expires_at=None)
    async with scripted_fleet(1, api_keys_file=str(file.path)) as fleet:
        good = file.path.read_bytes()
        for bad in (b"", good[:-20], b"[]"):
            caplog.clear()
            file.path.write_bytes(bad)
            await until(lambda: any("stay in force" in line.message for line in caplog.records))
            assert (await fleet.transcribe(header_Authorization=f"Bearer {key}"))[0] == 200
        file.path.write_bytes(good)
        added, _ = file.add("kiosk", UNLIMITED, now=now, expires_at=None)
        await until(lambda: fleet.service.keys.tenant_named("kiosk"))
        assert (await fleet.transcribe(header_Authorization=f"Bearer {added}"))[0] == 200
