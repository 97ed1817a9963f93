import asyncio
import json
import re

import pytest

from router import pages
from router.pages import STATIC
from tests.router.scripted import scripted_fleet

HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
EVENTS = {"Accept": "text/event-stream"}
BEARER = {"Authorization": "Bearer s3cret"}


async def fetch(fleet, path, **headers):
    async with fleet.client.get(fleet.url + path, headers=headers) as response:
        return response.status, response.headers, await response.text()


async def test_a_browser_gets_the_page_and_everybody_else_json():
    """
    The same address; both say Load Balancer Status.
    """
    async with scripted_fleet(1) as fleet:
        _, page_headers, page = await fetch(fleet, "/lb-status", **HTML)
        _, json_headers, json = await fetch(fleet, "/lb-status", Accept="*/*")

    assert page_headers["Content-Type"].startswith("text/html")
    assert json_headers["Content-Type"].startswith("application/json")
    assert "Load Balancer Status" in page
    assert '"title": "Load Balancer Status"' in json


@pytest.mark.parametrize("path", ["/", "/lb-status", *(f"/static/{path.name}" for path in STATIC.iterdir())])
async def test_everything_a_browser_gets_is_guarded(path):
    """
    Nothing inline runs, nothing comes from elsewhere, nobody frames it, types are not guessed.
    """
    async with scripted_fleet(1) as fleet:
        status, headers, body = await fetch(fleet, path, **HTML)

    assert status == 200
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert not re.search(r"(src|href)=\"(https?:)?//|<script>|<style|\bstyle=|\bon\w+=\"", body)


@pytest.mark.parametrize("key", [None, "s3cret"])
async def test_a_browser_that_is_lost_gets_a_page_and_a_program_the_envelope(key):
    """
    Wherever there is nothing, and at what takes no GET; the browser has no key to be asked for.
    """
    async with scripted_fleet(1, api_key=key) as fleet:
        for path, status, said in (
            ("/foo", 404, "nothing at this address"),
            ("/v1", 404, f"{fleet.url}/v1"),
            ("/doc", 404, 'Did you mean <a href="/docs">'),
            ("/v1/audio/transcription", 404, 'Did you mean <a href="/v1/audio/transcriptions">'),
            ("/audio/transcriptions/", 405, "it takes POST"),
        ):
            found, headers, body = await fetch(fleet, path, **HTML)
            assert (path, found, headers["Content-Type"]) == (path, status, "text/html; charset=utf-8")
            assert said in body
            assert "default-src 'none'" in headers["Content-Security-Policy"]
            found, headers, body = await fetch(fleet, path, **BEARER)
            assert (path, found, headers["Content-Type"]) == (path, status, "application/json; charset=utf-8")
            assert json.loads(body)["error"]["code"] in ("not_found", "method_not_allowed")
        _, _, body = await fetch(fleet, "/v1/audio/transcription", **BEARER)
        assert json.loads(body)["error"]["message"].endswith("Did you mean /v1/audio/transcriptions?")


async def test_head_is_answered_as_get_is_without_a_body():
    """
    As monitors of uptime ask; who asks for events in this way gets no endless answer.
    """
    async with scripted_fleet(1) as fleet:
        for path in ("/", "/lb-status", "/health", "/healthz", "/readyz", "/metrics", "/v1/models", "/docs"):
            async with fleet.client.head(f"{fleet.url}{path}", headers=EVENTS) as answer:
                assert (path, answer.status, await answer.read()) == (path, 200, b"")


@pytest.mark.parametrize(
    "path", sorted(path for path in STATIC.iterdir() if path.suffix == ".js"), ids=lambda p: p.name
)
def test_scripts_never_turn_text_into_markup(path):
    """
    textContent only; and what is imported is there.
    """
    code = path.read_text()

    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function", code)
    assert all((STATIC / name).is_file() for name in re.findall(r'from "\./([\w.-]+)"', code))


async def test_who_asks_for_events_gets_the_page_again_and_again(monkeypatch):
    """
    The same page as a browser's first, as JSON strings; the stream ends when the router leaves, after one more.
    """
    monkeypatch.setattr(pages, "WATCHED_EVERY_S", 0.02)
    async with scripted_fleet(1) as fleet, fleet.client.get(f"{fleet.url}/lb-status", headers=EVENTS) as answer:
        assert answer.headers["Content-Type"] == "text/event-stream"
        first, second = [await answer.content.readuntil(b"\n\n") for _ in range(2)]
        fleet.service.status.state = "leaving"
        rest = await answer.content.read()

    assert all("<h1>Load Balancer Status</h1>" in json.loads(event[6:]) for event in (first, second))
    assert rest.count(b"data: ") <= 2


async def test_a_router_has_room_for_so_many_watchers_and_counts_those_who_left(monkeypatch):
    """
    One more is refused; when somebody has gone, there is room again.
    """
    monkeypatch.setattr(pages, "WATCHERS_MAX", 1)
    monkeypatch.setattr(pages, "WATCHED_EVERY_S", 0.02)
    async with scripted_fleet(1) as fleet:
        async with fleet.client.get(f"{fleet.url}/lb-status", headers=EVENTS) as answer:
            await answer.content.readuntil(b"\n\n")
            assert (await fetch(fleet, "/lb-status", **EVENTS))[0] == 503

        async with asyncio.timeout(15):
            while True:
                async with fleet.client.get(f"{fleet.url}/lb-status", headers=EVENTS) as answer:
                    if answer.status == 200:
                        break


async def test_events_need_the_key_too():
    """
    Without it the envelope.
    """
    async with scripted_fleet(1, api_key="s3cret") as fleet:
        assert (await fetch(fleet, "/lb-status", **EVENTS))[0] == 401


async def test_files_that_did_not_change_are_not_sent_again():
    """
    304 for who has it; asked for again each time, so that an upgrade is seen at once.
    """
    async with scripted_fleet(1) as fleet:
        _, headers, _ = await fetch(fleet, "/static/style.css")
        status, _, body = await fetch(fleet, "/static/style.css", **{"If-None-Match": headers["ETag"]})

    assert (status, body) == (304, "")
    assert headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize("name", ["..%2fpages.py", "%2e%2e%2f%2e%2e%2fpyproject.toml", "nothing.js", "__init__.py"])
async def test_only_the_files_that_were_read_are_served(name):
    """
    A name is looked up in memory; no path is made from it.
    """
    async with scripted_fleet(1) as fleet:
        status, _, body = await fetch(fleet, f"/static/{name}")

    assert status == 404
    assert '"code": "not_found"' in body


async def test_without_the_key_a_browser_is_asked_for_it_and_told_nothing():
    """
    The page has no worker's name; with the key the same address shows all; others get the envelope.
    """
    async with scripted_fleet(1, api_key="s3cret") as fleet:
        locked, _, question = await fetch(fleet, "/lb-status", **HTML)
        opened, _, page = await fetch(fleet, "/lb-status", **HTML, **BEARER)
        refused, _, envelope = await fetch(fleet, "/lb-status")
        playground, _, _ = await fetch(fleet, "/")

    assert (locked, opened, refused, playground) == (401, 200, 401, 200)
    assert "API key" in question
    assert "w0" not in question
    assert "w0" in page
    assert '"invalid_api_key"' in envelope
