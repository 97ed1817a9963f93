"""/docs: everything in the document is on the page, and nothing on it can run."""

import json
import re

import pytest

from router.description.document import document
from router.description.page import ORIGIN, asked_at, page
from tests.router.scripted import scripted_fleet

DOCUMENT = json.loads(json.dumps(document()))
PAGE = page(DOCUMENT)


def test_everything_in_the_document_is_on_the_page():
    """Every path, field, schema and code."""
    for path in DOCUMENT["paths"]:
        assert f"<code>{path}</code>" in PAGE
    for name, schema in DOCUMENT["components"]["schemas"].items():
        assert f'id="{name}"' in PAGE
        assert all(f"<code>{one}</code>" in PAGE for one in schema.get("properties", ()))
    for response in DOCUMENT["components"]["responses"].values():
        assert all(f"<code>{code}</code>" in PAGE for code in re.findall("`(.*?)`", response["description"]))


def test_links_lead_somewhere_and_nothing_runs():
    """Anchors exist; no script, no style in it, nothing from elsewhere."""
    assert set(re.findall(r'href="#(.*?)"', PAGE)) <= set(re.findall(r'id="(.*?)"', PAGE))
    assert not re.search(r"<script|<style|\bstyle=|(src|href)=\"https?:", PAGE)


def test_what_is_in_a_description_is_text():
    """Nobody's markup becomes the page's."""
    one = json.loads(json.dumps(DOCUMENT))
    one["paths"]["/health"]["get"]["summary"] = "<img src=x onerror=alert(1)>"
    assert "<img" not in page(one)


async def test_both_are_served_to_anybody_with_a_tag():
    """Without a key; 304 for who has them."""
    async with scripted_fleet(1, api_key="s3cret") as fleet:
        for path, kind in (("/docs", "text/html"), ("/openapi.json", "application/json")):
            async with fleet.client.get(fleet.url + path) as response:
                assert (response.status, response.content_type) == (200, kind)
                assert "default-src 'none'" in response.headers["Content-Security-Policy"]
                tag = response.headers["ETag"]
                body = await response.text()
            assert json.loads(body) == DOCUMENT if kind == "application/json" else body == asked_at(PAGE, fleet.url)
            async with fleet.client.get(fleet.url + path, headers={"If-None-Match": tag}) as response:
                assert response.status == 304


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ({"Host": "speech.example:8443"}, "http://speech.example:8443"),
        ({"Host": "speech.example", "X-Forwarded-Proto": "https"}, "https://speech.example"),
        ({"Host": "speech.example", "X-Forwarded-Proto": "<script>"}, "http://speech.example"),
        ({"Host": ""}, ORIGIN),
    ],
)
async def test_the_examples_call_the_address_that_the_page_was_asked_at(sent, shown):
    """What is copied from the page works where it was read, behind a proxy that ends TLS too."""
    async with scripted_fleet(1) as fleet, fleet.client.get(f"{fleet.url}/docs", headers=sent) as response:
        body = await response.text()

    assert f"{shown}/v1/audio/transcriptions" in body
    assert f"base_url=&quot;{shown}/v1&quot;" in body
    assert shown == ORIGIN or ORIGIN not in body


def test_an_address_is_text():
    """Whatever a caller's Host header was."""
    assert "<b>" not in asked_at(PAGE, "http://<b>")
