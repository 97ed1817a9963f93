"""Who gets in: every route with every kind of key, wrong keys in every shape, and no key or speech in any log."""

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest

from tests.router.scripted import ScriptedFleet, scripted_fleet

USER, ADMIN = "sk-canary-user", "sk-canary-admin"

# Status without a key, with the callers' key, with the admin key. A new route must be added here.
OPEN, CLOSED = (True, True, True), (False, True, False)
ADMINS = (False, False, True)
ROUTES = {
    "GET /": OPEN,
    "GET /docs": OPEN,
    "GET /openapi.json": OPEN,
    "GET /static/{name}": OPEN,
    "HEAD /static/{name}": OPEN,
    "GET /health": OPEN,
    "GET /healthz": OPEN,
    "GET /readyz": OPEN,
    "GET /metrics": OPEN,
    "GET /lb-status": CLOSED,
    "GET /v1/models": CLOSED,
    "GET /v1/models/{id}": CLOSED,
    "DELETE /v1/models/{id}": CLOSED,
    "POST /v1/audio/transcriptions": CLOSED,
    "POST /v1/audio/translations": CLOSED,
    "POST /transcribe": CLOSED,
    "POST /asr": CLOSED,
    "POST /admin/workers": ADMINS,
    "DELETE /admin/workers/{id}": ADMINS,
    "POST /admin/workers/{id}/drain": ADMINS,
    "POST /admin/workers/{id}/undrain": ADMINS,
    "POST /admin/workers/{id}/reset": ADMINS,
}


@pytest.fixture
async def fleet() -> AsyncIterator[ScriptedFleet]:
    async with scripted_fleet(1, api_key=USER, admin_key=ADMIN) as one:
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
