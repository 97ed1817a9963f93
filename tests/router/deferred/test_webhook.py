"""Telling a server that a job ended: a good one, a broken one, a hostile one."""

import asyncio
import json
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from router.deferred import webhook
from router.deferred.callback import Allowed, key_of, signed
from router.deferred.webhook import CheckedResolver
from tests.router.deferred.jobs_fleet import jobs_fleet
from tests.router.scripted import until

SECRET = "a shared secret"  # noqa: S105  of nobody


class Receiver:
    """Keeps what it is sent; `behaviour` answers."""

    def __init__(self):
        self.seen = []
        self.behaviour = self.thanks
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self.handle)
        self.server = TestServer(app, host="127.0.0.1")

    async def handle(self, request):
        self.seen.append((request.method, request.path, request.headers.copy(), await request.read()))
        return await self.behaviour(request)

    async def thanks(self, request):
        return web.Response(status=204)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.port}"


@asynccontextmanager
async def told_fleet(tmp_path, monkeypatch, *, listed=True):
    """A fleet and a server that it may tell."""
    monkeypatch.setattr(webhook.Webhooks.__init__, "__kwdefaults__", {"pause_s": 0.01})
    monkeypatch.setattr(webhook, "POLL_S", 0.02)
    receiver = Receiver()
    await receiver.server.start_server()
    allowed = (receiver.url,) if listed else ("hooks.example",)
    async with jobs_fleet(tmp_path, 1, webhook_allow=allowed, webhook_secret=SECRET) as fleet:
        yield fleet, receiver
    await receiver.server.close()


async def test_a_caller_is_told(tmp_path, monkeypatch):
    """Once, with the job's record and a signature, and without the transcript."""
    async with told_fleet(tmp_path, monkeypatch) as (fleet, receiver):
        job_id = await fleet.submit(callback_url=f"{receiver.url}/hook?x=1")
        await until(lambda: receiver.seen)
        method, path, headers, body = receiver.seen[0]
        assert (method, path) == ("POST", "/hook")
        message = json.loads(body)
        assert (message["type"], message["data"]["id"]) == ("job.succeeded", job_id)
        assert "text" not in message["data"]
        timestamp_s = int(headers["webhook-timestamp"])
        wanted = signed(key_of(SECRET), message_id=job_id, timestamp_s=timestamp_s, body=body)
        assert {name: headers[name] for name in wanted} == wanted
        await asyncio.sleep(0.1)
        assert len(receiver.seen) == 1


async def test_a_cancelled_job_is_told_too(tmp_path, monkeypatch):
    """Whoever waits for the call is not left waiting."""
    async with told_fleet(tmp_path, monkeypatch) as (fleet, receiver):
        fleet.fleet.service.status.state = "leaving"
        job_id = await fleet.submit(callback_url=receiver.url + "/")
        await fleet.call("DELETE", f"/v1/jobs/{job_id}")
        await until(lambda: receiver.seen)
        assert json.loads(receiver.seen[0][3])["type"] == "job.cancelled"


async def test_a_server_that_is_down_is_told_later(tmp_path, monkeypatch):
    """Under the same id."""
    async with told_fleet(tmp_path, monkeypatch) as (fleet, receiver):

        async def fails_twice(request):
            return web.Response(status=500 if len(receiver.seen) < 3 else 200)

        receiver.behaviour = fails_twice
        await fleet.submit(callback_url=receiver.url + "/")
        await until(lambda: len(receiver.seen) == 3)
        assert len({headers["webhook-id"] for _, _, headers, _ in receiver.seen}) == 1


async def test_tries_are_bounded(tmp_path, monkeypatch):
    """A server that always fails is left alone in the end."""
    monkeypatch.setattr(webhook, "TRIES_MAX", 3)
    async with told_fleet(tmp_path, monkeypatch) as (fleet, receiver):

        async def fails(request):
            return web.Response(status=503)

        receiver.behaviour = fails
        await fleet.submit(callback_url=receiver.url + "/")
        await until(lambda: len(receiver.seen) == 3)
        await asyncio.sleep(0.3)
        assert len(receiver.seen) == 3


async def test_redirects_are_not_followed(tmp_path, monkeypatch):
    """Or a listed server could send us anywhere."""
    monkeypatch.setattr(webhook, "TRIES_MAX", 2)
    async with told_fleet(tmp_path, monkeypatch) as (fleet, receiver):

        async def elsewhere(request):
            raise web.HTTPTemporaryRedirect(f"{receiver.url}/inner")

        receiver.behaviour = elsewhere
        await fleet.submit(callback_url=f"{receiver.url}/hook")
        await until(lambda: len(receiver.seen) == 2)
        assert {path for _, path, _, _ in receiver.seen} == {"/hook"}


async def test_a_hostile_server_holds_nothing_up(tmp_path, monkeypatch):
    """One that never answers, and one that answers without end: others are told meanwhile."""
    monkeypatch.setattr(webhook, "TIMEOUT_S", 1.0)
    release = asyncio.Event()
    async with told_fleet(tmp_path, monkeypatch) as (fleet, receiver):

        async def hostile(request):
            if request.path == "/silent":
                await release.wait()
            if request.path == "/endless":
                response = web.StreamResponse()
                await response.prepare(request)
                while not release.is_set():
                    await response.write(b"x" * 65_536)
                return response
            return web.Response()

        receiver.behaviour = hostile
        for path in ("/silent", "/endless", "/good"):
            await fleet.submit(path.encode(), callback_url=receiver.url + path)
        await until(lambda: {path for _, path, _, _ in receiver.seen} >= {"/silent", "/endless", "/good"})
        assert (await fleet.fleet.transcribe())[0] == 200
        release.set()


class Names:
    """A name server that says whatever it likes."""

    def __init__(self, *addresses):
        self.addresses = addresses

    async def resolve(self, host, port=0, family=0):
        return [
            {"hostname": host, "host": each, "port": port, "family": 2, "proto": 0, "flags": 0}
            for each in self.addresses
        ]

    async def close(self):
        pass


async def test_names_that_lead_inside_lead_nowhere():
    """Public addresses are taken, private ones dropped; with none left the call fails."""
    allowed = Allowed(("hooks.example",))
    mixed = await CheckedResolver(allowed, Names("169.254.169.254", "93.184.216.34")).resolve("hooks.example", 443)
    assert [each["host"] for each in mixed] == ["93.184.216.34"]
    with pytest.raises(OSError, match="no address"):
        await CheckedResolver(allowed, Names("127.0.0.1", "10.0.0.1")).resolve("hooks.example", 443)
    listed = Allowed(("hooks.example", "10.0.0.0/8"))
    assert await CheckedResolver(listed, Names("10.0.0.1")).resolve("hooks.example", 443)


async def test_a_listed_name_on_this_machine_is_not_called(tmp_path, monkeypatch):
    """`localhost` is listed, and 127.0.0.1 is not."""
    monkeypatch.setattr(webhook, "TRIES_MAX", 1)
    monkeypatch.setattr(webhook, "POLL_S", 0.02)
    receiver = Receiver()
    await receiver.server.start_server()
    url = f"http://localhost:{receiver.server.port}"
    async with jobs_fleet(tmp_path, 1, webhook_allow=(url,), webhook_secret=SECRET) as fleet:
        job_id = await fleet.submit(callback_url=url + "/")
        await fleet.ended(job_id)
        await asyncio.sleep(0.3)
    assert receiver.seen == []
    await receiver.server.close()


@pytest.mark.parametrize("status", [200, 204])
async def test_what_counts_as_told(tmp_path, monkeypatch, status):
    """Any 2xx."""
    async with told_fleet(tmp_path, monkeypatch) as (fleet, receiver):

        async def says(request):
            return web.Response(status=status)

        receiver.behaviour = says
        await fleet.submit(callback_url=receiver.url + "/")
        await until(lambda: receiver.seen)
        await asyncio.sleep(0.1)
        assert len(receiver.seen) == 1
