"""
Malformed bodies and abused connections, over raw sockets, against router and worker alike.

The ids are rows of docs/catalogue.md. After each row a good request is answered, no more is held than before (tasks,
descriptors, threads, children, memory), and no step of the event loop took more than 100 ms of processor time (time
that other programs took is not counted).
"""

import asyncio
import gzip
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import aiohttp
import pytest
from aiohttp import web

from fleet.connection import ConnectionLimits
from fleet.serve import listening
from router.app import RouterService
from router.settings import RouterSettings
from tests.chaos.clean import STEP_MAX_S, Held, given_back, longest_step
from tests.router.scripted import ScriptedWorker
from worker.app import Worker
from worker.settings import WorkerSettings

PATH = "/v1/audio/transcriptions"
LIMITS = ConnectionLimits(total=64, each_address=64, head_s=15)
TYPE = "multipart/form-data; boundary=b"
GOOD = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' + bytes(3_200) + b"\r\n--b--\r\n"
MB = 1_000_000


@dataclass
class Target:
    """A service on a port, and the longest step its event loop took."""

    port: int
    steps: list[float] = field(default_factory=lambda: [0.0])

    async def say(self, *pieces: bytes, within_s: float = 20, half_close: bool = False) -> bytes:
        """Everything that comes back until the service closes the connection; b"" if it just closed."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            async with asyncio.timeout(within_s):
                try:
                    for piece in pieces:
                        writer.write(piece)
                        await writer.drain()
                    if half_close:
                        writer.write_eof()
                    return await reader.read()
                except ConnectionError:
                    return b""
        finally:
            writer.close()

    async def post(self, body: bytes, kind: str = TYPE, **headers: str) -> tuple[int, str]:
        """Status and code of a request with a body."""
        given = {"Content-Type": kind, "Content-Length": str(len(body)), "Connection": "close", **headers}
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in given.items() if value)
        return outcome(await self.say(f"POST {PATH} HTTP/1.1\r\nHost: x\r\n{lines}\r\n".encode() + body))


def outcome(answer: bytes) -> tuple[int, str]:
    """Status and error code; of several answers the last."""
    head, _, body = answer[answer.rfind(b"HTTP/1.") :].partition(b"\r\n\r\n")
    status = int(head.split()[1]) if head else 0
    try:
        return status, json.loads(body)["error"]["code"]
    except (ValueError, KeyError, TypeError):
        return status, ""


@pytest.fixture
def steps() -> Iterator[list[float]]:
    """Processor seconds of the event loop's longest step."""
    with longest_step() as taken:
        yield taken


async def test_a_step_that_holds_the_loop_is_seen(steps: list[float]):
    """What the rows rely on: a step of 110 ms of processor time counts, one that only waits does not."""

    def burn() -> None:
        until = time.thread_time() + 0.11
        while time.thread_time() < until:
            pass

    await asyncio.sleep(0.15)
    assert steps[0] < STEP_MAX_S
    asyncio.get_running_loop().call_soon(burn)
    await asyncio.sleep(0.01)
    assert steps[0] > STEP_MAX_S


@asynccontextmanager
async def serving(service: RouterService | Worker, limits: ConnectionLimits) -> AsyncIterator[int]:
    runner = web.AppRunner(
        service.app, handler_cancellation=True, auto_decompress=False, access_log=None, lingering_time=0.1
    )
    await runner.setup()
    try:
        async with listening(runner, "127.0.0.1", 0, limits=limits) as port, asyncio.TaskGroup() as group:
            loops = [group.create_task(loop) for loop in service.loops()]
            async with asyncio.timeout(30), aiohttp.ClientSession() as http:
                while (await http.get(f"http://127.0.0.1:{port}/readyz")).status != 200:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
            yield port
            for loop in loops:
                loop.cancel()
    finally:
        await runner.cleanup()


@asynccontextmanager
async def target_of(kind: str, limits: ConnectionLimits = LIMITS) -> AsyncIterator[int]:
    """A scripted worker, or a router before one; uploads of up to a megabyte."""
    if kind == "worker":
        async with serving(Worker(WorkerSettings(model="fake:0", max_upload_mb=1)), limits) as port:
            yield port
        return
    worker = ScriptedWorker("w")
    await worker.server.start_server()
    try:
        settings = RouterSettings(workers=(worker.url,), max_upload_mb=1, probe_interval_s=0.1)
        async with serving(RouterService(settings), limits) as port:
            yield port
    finally:
        await worker.server.close()


@pytest.fixture(params=["router", "worker"])
async def target(request: pytest.FixtureRequest, steps: list[float]) -> AsyncIterator[Target]:
    async with target_of(request.param) as port:
        one = Target(port, steps)
        assert await one.post(GOOD) == (200, "")
        before = Held.now()
        steps[0] = 0.0
        yield one
        worst = steps[0]
        assert await one.post(GOOD) == (200, "")
        await given_back(before)
        assert worst < STEP_MAX_S, f"a step of the event loop took {worst * 1000:.0f} ms"


def part(head: bytes, body: bytes = b"x") -> bytes:
    return b"--b\r\n" + head + b"\r\n\r\n" + body + b"\r\n--b--\r\n"


NAMED = b'Content-Disposition: form-data; name="file"'
BAD = (400, "malformed_multipart")
FIELD = b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\nx\r\n'
NAMES = (b"concat:/etc/passwd", b"pipe:0", b"-i", b"file:///etc/passwd", b"a.wav\\0.mp3")
BODIES = [
    ("M-01", b"x", "multipart/form-data", BAD),
    ("M-02", GOOD, "multipart/form-data; boundary=other", BAD),
    ("M-03", GOOD, "multipart/form-data; boundary=" + "b" * 71, BAD),
    ("M-04", b"", TYPE, BAD),
    ("M-06", b"--b\r\nContent-Disposition: form-da", TYPE, BAD),
    ("M-07", part(b"Content-Type: audio/wav"), TYPE, BAD),
    ("M-07", part(b"Content-Disposition: \xff\xfe\0"), TYPE, BAD),
    ("M-07", part(b'Content-Disposition: form-data; name=""'), TYPE, BAD),
    ("M-09", b"\r\n" * 400_000, TYPE, BAD),
    ("M-10", FIELD * 5_000, TYPE, (400, "too_many_parts")),
    ("M-11", part(NAMED + b"\r\n" + b"\r\n".join(b"X-%d: y" % n for n in range(200))), TYPE, BAD),
    ("M-11", part(NAMED + b"\r\nX: " + b"y" * 10_000), TYPE, BAD),
    ("M-12", part(NAMED + b"\r\nContent-Type: multipart/mixed; boundary=c", b"--c\r\n\r\nx\r\n--c--"), TYPE, (200, "")),
    ("M-13", GOOD.replace(b'"a"', b'"../../etc/passwd"'), TYPE, (200, "")),
    ("M-13", GOOD.replace(b'"a"', b"\"a\"; filename*=utf-8''%2e%2e%2fx"), TYPE, (200, "")),
    ("M-14", part(b'Content-Disposition: form-data; name="prompt"', b"\xff\xfe"), TYPE, (400, "invalid_value")),
    ("M-14", FIELD.replace(b'"a"', b'"_charset_"').replace(b"x\r\n", b"utf-16\r\n") + GOOD, TYPE, (200, "")),
    ("M-15", part(NAMED + b"\r\nContent-Transfer-Encoding: base64"), TYPE, BAD),
    ("M-16", part(NAMED + b"\r\nContent-Encoding: gzip", gzip.compress(b"x")), TYPE, (200, "")),
    ("M-17", part(NAMED + b"\r\nContent-Length: 99999"), TYPE, BAD),
    ("M-17", part(NAMED + b"\r\nContent-Length: -1"), TYPE, BAD),
    ("M-17", GOOD.replace(b'"a"', b'"a"\r\nContent-Length: 3200'), TYPE, (200, "")),
    ("M-19", part(b'Content-Disposition: form-data; name="model"'), TYPE, (400, "missing_file")),
    ("M-19", GOOD.replace(b'; filename="a"', b""), TYPE, (200, "")),
    ("M-19", part(NAMED, b""), TYPE, (400, "audio_empty")),
    ("M-20", b"{}", "application/json", (415, "unsupported_media_type")),
    ("M-20", b"a=b", "application/x-www-form-urlencoded", (415, "unsupported_media_type")),
    ("A-27", GOOD.replace(b'"a"', b'"list.m3u8"'), TYPE, (200, "")),
    *(("A-32", GOOD.replace(b'"a"', b'"%s"' % name), TYPE, (200, "")) for name in NAMES),
    ("P-11", FIELD * 200 + GOOD, TYPE, (400, "too_many_parts")),
    ("P-14", b'{"a":' * 10_000, "application/json", (415, "unsupported_media_type")),
    ("M-22", part(NAMED, bytes(3 * MB)), TYPE, (413, "body_too_large")),
]


@pytest.mark.parametrize(("row", "body", "kind", "expected"), BODIES, ids=[f"{b[0]}-{n}" for n, b in enumerate(BODIES)])
async def test_body(target: Target, row: str, body: bytes, kind: str, expected: tuple[int, str]):
    """As the table says, and never a server error."""
    assert await target.post(body, kind) == expected


def request(*lines: str) -> bytes:
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


HEAD = (f"POST {PATH} HTTP/1.1", "Host: x", f"Content-Type: {TYPE}")
REQUESTS = [
    ("H-08", request(*HEAD, "Content-Length: 99999999", "Expect: 100-continue", "Connection: close"), 413),
    ("H-09", request(*HEAD, "Content-Length: 10", "Expect: foo", "Connection: close"), 417),
    ("H-09", request("GET /healthz HTTP/1.1", "Host: x", "Expect: \xff\xfe", "Connection: close"), 417),
    ("H-10", request(*HEAD, "Content-Length: 4000000000", "Connection: close"), 413),
    ("H-11", request("GET /v1/models HTTP/1.1", "Host: localhost/health?", "Connection: close"), 400),
    ("H-11", request("GET /v1/models HTTP/1.1", "Host: a b", "Connection: close"), 400),
    ("H-11", request("GET /v1/models HTTP/1.1", "Host: x@y", "Connection: close"), 400),
    ("H-11", request("GET //v1/models HTTP/1.1", "Host: x", "Connection: close"), 404),
    ("H-14", request(*HEAD, "Content-Length: 10", "Content-Encoding: gzip", "Connection: close"), 415),
    ("H-17", request(*HEAD, "Content-Length: 10", "Content-Length: 11"), 400),
    ("H-17", request(*HEAD, "Content-Length: 10", "Content-Length: 10"), 400),
    ("H-17", request(*HEAD, "Content-Length: 10", "Transfer-Encoding: chunked"), 400),
    ("H-17", request(*HEAD, "Content-Length: -5"), 400),
    ("H-17", request(*HEAD, "Content-Length: +5"), 400),
    ("H-17", request(*HEAD, "Content-Length: 1" + "0" * 23), 400),
    ("H-17", request("GET /healthz HTTP/1.1", "Host: x", "A: " + "b" * 10_000), 431),
    ("H-17", request("GET /healthz?" + "b" * 10_000 + " HTTP/1.1", "Host: x"), 431),
    ("H-18", request("GET /healthz HTTP/1.1", "Host: x", "Host: y"), 400),
    ("H-18", request("GET /healthz HTTP/1.1"), 400),
    ("H-19", b"GET /healthz HTTP/1.1\r\nHost: x\nA: b\n\n", 400),
    ("H-19", b"GET /healthz HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n", 400),
    ("H-19", b"GET /healthz HTTP/1.1\r\nHost: x\r\nA: b\0c\r\n\r\n", 400),
    ("H-23", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    ("H-23", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100), 400),
    ("H-23", b"SSH-2.0-OpenSSH_9.6\r\n", 400),
    ("H-23", b"\xff" * MB, 400),
]


@pytest.mark.parametrize(("row", "sent", "status"), REQUESTS, ids=[f"{case[0]}-{n}" for n, case in enumerate(REQUESTS)])
async def test_request(target: Target, row: str, sent: bytes, status: int):
    """Refused at once, without waiting for a body and without `100 Continue`; nothing of it comes back."""
    answer = await target.say(sent)
    assert outcome(answer)[0] in (status, 0 if row == "H-23" else status)
    assert b"100 Continue" not in answer
    head, _, body = answer.partition(b"\r\n\r\n")
    if head:
        assert json.loads(body)["error"].keys() == {"message", "type", "param", "code"}
        assert head.startswith(b"HTTP/1.") and b"application/json" in head


async def test_h12_pipelined_requests_are_answered_in_order(target: Target):
    """All of them, each once."""
    one = request("GET /healthz HTTP/1.1", "Host: x")
    last = request("GET /healthz HTTP/1.1", "Host: x", "Connection: close")
    assert (await target.say(one * 300 + last)).count(b'"alive"') == 301


async def test_h13_a_body_in_tiny_chunks(target: Target):
    """One byte a chunk costs the loop no stall."""
    head = request(*HEAD, "Transfer-Encoding: chunked", "Connection: close")
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in GOOD + bytes(100_000)) + b"0\r\n\r\n"
    assert outcome(await target.say(head, chunks))[0] in (200, 400)


@pytest.mark.parametrize("kind", ["router", "worker"])
@pytest.mark.parametrize("sent", [b"", b"POST /v1/audio/transcriptions HTTP/1.1\r\nHost: x\r\n"])
async def test_h01_h02_a_head_that_does_not_come_is_not_waited_for(kind: str, sent: bytes):
    """Nothing, or half of it: closed when the time is up."""
    async with target_of(kind, replace(LIMITS, head_s=0.4)) as port:
        began = time.monotonic()
        assert await Target(port).say(sent) == b""
        assert 0.3 < time.monotonic() - began < 10


async def test_h02_a_head_that_drips_is_not_waited_for():
    """One header line now and then does not keep a connection; a second request's head has its own time."""
    async with target_of("worker", replace(LIMITS, head_s=0.5)) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request("GET /healthz HTTP/1.1", "Host: x"))
        await reader.readuntil(b"}")
        await asyncio.sleep(0.7)  # idle between requests is not a head that is late
        with pytest.raises(ConnectionError):
            async with asyncio.timeout(20):
                writer.write(b"GET /healthz HTTP/1.1\r\n")
                for number in range(1_000):
                    writer.write(f"X-{number}: y\r\n".encode())
                    await writer.drain()
                    await asyncio.sleep(0.05)
        writer.close()


@pytest.mark.parametrize("kind", ["router", "worker"])
async def test_h03_connections_above_the_limit_are_refused_fast(kind: str):
    """The next one is told, and those that are open are served; when one goes, another may come."""
    async with target_of(kind, replace(LIMITS, each_address=20)) as port:
        lines = [await asyncio.open_connection("127.0.0.1", port) for _ in range(21)]
        async with asyncio.TaskGroup() as group, asyncio.timeout(10):
            said = [group.create_task(reader.read()) for reader, _ in lines]
            refused, _ = await asyncio.wait(said, return_when=asyncio.FIRST_COMPLETED)
            assert {outcome(one.result()) for one in refused} == {(503, "overloaded")}
            for _, writer in lines[:19]:  # who asked whether it is ready may have had a place until just now
                writer.write(request("GET /healthz HTTP/1.1", "Host: x", "Connection: close"))
            assert all([b'"alive"' in await one for one in said[:19]])
            lines[19][1].close()
        for _, writer in lines:
            writer.close()
        async with asyncio.timeout(10):
            while (await Target(port).post(GOOD))[0] != 200:  # noqa: ASYNC110  until the closing is noticed
                await asyncio.sleep(0.02)


async def test_h04_h07_a_body_that_does_not_come_is_refused(target: Target, monkeypatch: pytest.MonkeyPatch):
    """It stops midway, or never ends: 408, and its place is free again."""
    monkeypatch.setattr("fleet.pace.steady.__kwdefaults__", {"floor_bytes_s": 1_000, "window_s": 0.3})
    began = time.monotonic()
    halted = request(*HEAD, "Content-Length: 500000", "Connection: close") + GOOD[:1_000]
    endless = request(*HEAD, "Transfer-Encoding: chunked", "Connection: close") + b"5\r\n--b\r\n\r\n"
    assert outcome(await target.say(halted)) == (408, "request_timeout")
    assert outcome(await target.say(endless)) == (408, "request_timeout")
    assert time.monotonic() - began < 60


async def test_a_caller_who_leaves_in_the_middle_of_a_body_leaves_nothing(target: Target):
    """Half-closed: no answer is owed, and the next request is served."""
    answer = await target.say(request(*HEAD, "Content-Length: 500000") + GOOD[:1_000], half_close=True)
    assert outcome(answer)[0] in (0, 400)
