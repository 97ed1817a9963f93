"""A fleet as its clients meet it."""

import socket

import aiohttp
import pytest
from aiohttp import web

from fleet import remote
from fleet.errors import NotFound, Unauthorized, Unavailable
from fleet.web import error_response


@pytest.fixture
async def url(aiohttp_server):
    """A server that answers well, with our errors, and with a stranger's."""

    async def well(request):
        return web.Response(text=request.headers.get("Authorization", "no key"))

    async def full(request):
        return error_response(Unavailable(retry_after_s=9))

    async def lost(request):
        return error_response(NotFound())

    async def nobody(request):
        return error_response(Unavailable("No worker is ready.", code="no_worker", retry_after_s=5))

    async def locked(request):
        return error_response(Unauthorized())

    async def strange(request):
        return web.Response(status=502, text="<html>bad gateway</html>")

    app = web.Application()
    for handler in (well, full, lost, nobody, locked, strange):
        app.router.add_get(f"/{handler.__name__}", handler)
    return str((await aiohttp_server(app)).make_url("/"))


async def ask(url, path, key=None):
    """The body, or the error."""
    async with remote.session(url, key, 10) as http, http.get(path) as response:
        return await remote.body_of(response)


async def test_key_and_base_url(url):
    """The key goes along; /v1 at the end of the address is taken off, as OpenAI clients write it."""
    assert await ask(url, "well") == b"no key"
    assert await ask(f"{url}v1/", "well", "k\n") == b"Bearer k"  # from a file, with its last line break


@pytest.mark.parametrize(
    ("path", "said", "retry_after_s"),
    [
        ("full", "Every worker is busy and the queue is full. Please retry later. (overloaded)", 9),
        ("lost", "There is nothing at this address. (not_found)", None),
        ("locked", "Missing or incorrect API key. (invalid_api_key); give it with --key KEY or FLEET_KEY", None),
        ("nobody", "No worker is ready. (no_worker); whisper-fleet status says of each why not", 5),
        ("strange", "the answer was 502 Bad Gateway", None),
    ],
)
async def test_bad_answers(url, path, said, retry_after_s):
    """The fleet's own words; a stranger's status; and when to come back."""
    with pytest.raises(remote.RemoteError) as caught:
        await ask(url, path)
    assert (str(caught.value), caught.value.retry_after_s) == (said, retry_after_s)


async def test_nobody_there(unused_tcp_port):
    """One sentence with the command that starts a fleet."""
    url = f"http://127.0.0.1:{unused_tcp_port}"
    with pytest.raises(aiohttp.ClientConnectorError) as caught:
        await ask(url, "well")
    said = str(remote.explained(caught.value, url))
    assert said == f"no fleet answers at {url} (connection refused); start one with: whisper-fleet up"


@pytest.mark.parametrize("url", ["localhost:8083", "http://[", "http://127.0.0.1:99999"])
def test_what_is_no_address(url):
    """Said before anything is sent."""
    with pytest.raises(remote.RemoteError, match="--url"):
        remote.session(url, None, 10)


def test_a_name_that_nobody_knows():
    """In the resolver's words: its numbers are none of the system's."""
    error = aiohttp.ClientConnectorDNSError(None, socket.gaierror(-2, "Name or service not known"))
    assert "(name or service not known)" in str(remote.explained(error, "http://nowhere"))


@pytest.mark.parametrize(
    ("error", "said"), [(TimeoutError(), "in time"), (aiohttp.ServerDisconnectedError(), "ServerDisconnectedError")]
)
def test_failures_on_the_way(error, said):
    """Each is a sentence, none a traceback."""
    assert said in str(remote.explained(error, "http://x"))
