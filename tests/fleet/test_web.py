"""What every answer has, over a real socket."""

import asyncio
import logging

import pytest
from aiohttp import ClientConnectionError, ClientConnectionResetError, ClientPayloadError, web
from aiohttp.test_utils import TestClient, TestServer

from fleet import log
from fleet.errors import Unavailable
from fleet.web import add, answer_errors, error_response, finish, json_answer, wants_html


async def well(request):
    """A good answer, with the id that the log sees."""
    return json_answer({"id": log.request_id.get(), "html": wants_html(request)})


async def full(request):
    """An error of ours."""
    raise Unavailable(retry_after_s=7)


async def wrong(request):
    """A mistake of ours."""
    raise RuntimeError("/secret/path at 0x7f00")


async def gone(request):
    """A caller who hung up before the head of the answer could be written."""
    raise ClientConnectionResetError("Cannot write to closing transport")


async def broken(request):
    """A mistake of ours in the middle of a body."""
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b"half")
    raise RuntimeError("/secret/path at 0x7f00")


async def refused(request):
    """An error of ours in the middle of a body."""
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b"half")
    raise Unavailable


@pytest.fixture
async def client(aiohttp_client):
    """An application with those three."""
    app = web.Application(client_max_size=100)
    add(app.router, "GET", "/v1/well", well, head=True)
    add(app.router, "GET", "/v1/full", full)
    add(app.router, "GET", "/v1/wrong", wrong)
    add(app.router, "GET", "/v1/gone", gone)
    add(app.router, "GET", "/v1/broken", broken)
    add(app.router, "GET", "/v1/refused", refused)
    return await aiohttp_client(finish(app))


@pytest.mark.parametrize("path", ["/v1/well", "/v1/well/", "/well", "/well/"])
async def test_every_route_has_four_spellings(client, path):
    """With and without /v1, with and without a slash at the end."""
    assert (await client.get(path)).status == 200


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ("/v1/wel", "/v1/well"),
        ("/v1/wells", "/v1/well"),
        ("/v1/v1/full/", "/v1/full"),
        ("/wrng", "/wrong"),
        ("/v1/chat/completions", None),
        ("/" + "w" * 5000, None),
        ("/v1/<b>well", "/v1/well"),
    ],
)
async def test_a_slip_in_an_address_is_answered_with_what_was_meant(client, asked, meant):
    """In the envelope's message, which never repeats what was sent; where nothing is like it, nothing is added."""
    answer = await client.get(asked)
    said = (await answer.json())["error"]["message"]
    assert answer.status == 404
    assert said == "There is nothing at this address." + (f" Did you mean {meant}?" if meant else "")


async def test_a_wrong_method_is_told_the_right_ones(client):
    """In the header that HTTP has for it."""
    assert (await client.post("/v1/well")).headers["Allow"] == "GET, HEAD"


async def test_head_is_get_without_a_body(client):
    """Where a route says so: the same status and length, errors as well; elsewhere it is refused."""
    got, asked = await client.get("/well/"), await client.head("/well/")
    assert (asked.status, asked.headers["Content-Type"], await asked.read()) == (200, got.headers["Content-Type"], b"")
    assert int(asked.headers["Content-Length"]) == len(await got.read())
    assert (await client.head("/full")).status == 405


async def test_who_hangs_up_is_no_error_in_the_log(client, caplog):
    """Nobody can answer, and nothing is wrong: the connection is closed and no traceback written."""
    with pytest.raises(ClientConnectionError):
        await client.get("/gone")
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert (await client.get("/well")).status == 200


@pytest.mark.parametrize(("path", "is_logged"), [("/broken", True), ("/refused", False)])
async def test_an_answer_that_breaks_off_is_seen_to(client, caplog, path, is_logged):
    """Whoever reads it is not left waiting for the rest, takes half of it for no whole, and no second head for text."""
    async with client.get(path) as response, asyncio.timeout(20):
        with pytest.raises(ClientPayloadError):
            await response.read()
    assert ("unexpected error" in caplog.text) is is_logged


@pytest.mark.parametrize("expectation", ["nonsense", "100-continue"])
async def test_a_refusal_before_the_body_is_like_any_other(expectation):
    """Envelope and id, though no middleware has seen the request."""

    async def refusing(request):
        if request.headers["Expect"] == "nonsense":
            raise web.HTTPExpectationFailed
        return error_response(Unavailable())

    app = finish(web.Application())
    add(app.router, "POST", "/v1/well", well, expect=refusing)
    async with TestServer(app) as server, TestClient(server) as client:
        answer = await client.post("/well", headers={"Expect": expectation, "X-Request-Id": "mine"})
        assert answer.headers["X-Request-Id"] == "mine"
        assert set((await answer.json())["error"]) == {"message", "type", "param", "code"}
        assert answer.status == (417 if expectation == "nonsense" else 503)


async def test_request_id_is_echoed_if_sane(client):
    """The caller's own id comes back and is what the log sees; a dangerous one is replaced."""
    kept = await client.get("/well", headers={"X-Request-Id": "abc-1"})
    replaced = await client.get("/well", headers={"X-Request-Id": "a b\tc" * 50})

    assert kept.headers["X-Request-Id"] == "abc-1" == (await kept.json())["id"]
    assert replaced.headers["X-Request-Id"].startswith("req-")


@pytest.mark.parametrize(
    ("method", "path", "answer"),
    [
        ("GET", "/full", (503, "overloaded")),
        ("GET", "/nowhere", (404, "not_found")),
        ("POST", "/well", (405, "method_not_allowed")),
        ("GET", "/wrong", (500, "internal_error")),
    ],
)
async def test_every_error_has_the_envelope_and_an_id(client, caplog, method, path, answer):
    """Ours, the framework's and the unexpected; the last is logged, and tells the caller nothing of the inside."""
    with caplog.at_level(logging.ERROR):
        response = await client.request(method, path)
    error = (await response.json())["error"]

    assert (response.status, error["code"]) == answer
    assert set(error) == {"message", "type", "param", "code"}
    assert "secret" not in await response.text()
    assert response.headers["X-Request-Id"]
    assert ("RuntimeError" in caplog.text) == (path == "/wrong")


async def test_full_says_when_to_return(client):
    """The error's headers reach the caller."""
    assert (await client.get("/full")).headers["Retry-After"] == "7"


async def test_browser_is_told_from_program(client):
    """Only who names text/html gets a page."""
    browser = await client.get("/well", headers={"Accept": "text/html,*/*;q=0.8"})
    program = await client.get("/well", headers={"Accept": "*/*"})
    assert ((await browser.json())["html"], (await program.json())["html"]) == (True, False)
    assert program.headers["Cache-Control"] == "no-store"


async def test_redirects_pass():
    """Answers below 400 that frameworks raise are no errors."""

    async def moved(request):
        raise web.HTTPFound("/elsewhere")

    with pytest.raises(web.HTTPFound):
        await answer_errors(None, moved)
