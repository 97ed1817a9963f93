"""
Whole requests, mutated byte by byte and sent over raw sockets: refused or answered, and nothing fails.

A good form is damaged, framed by length or in chunks, sent to every upload's path with odd queries and odd headers, to
a router and to a worker as processes. FUZZ_CASES=10000 FUZZ_SEED=2 for a long run.
"""

import asyncio
import logging
import os
import random
from collections import Counter

import pytest

from tests.integration.processes import Service, ask, router, up, worker

CASES = int(os.environ.get("FUZZ_CASES", "200"))
SEED = int(os.environ.get("FUZZ_SEED", "1"))
AT_ONCE = 4
PATHS = ("/v1/audio/transcriptions", "/v1/audio/translations", "/transcribe", "/asr", "/inference")
ROUTERS_PATHS = ("/v1/jobs", "/v1/audio/transcriptions_batch")
QUERIES = (
    *("", "", "?language=%ff", "?language=%ed%a0%80", "?output=%00", "?output=tsv", "?vad_filter=%"),
    *("?output=json&word_timestamps=true", "?initial_prompt=%ff%fe", "?" + "a=b&" * 500),
)
FIELDS = (b"prompt", b"hello"), (b"timestamp_granularities[]", b"word"), (b"response_format", b"verbose_json")
PARTS = [b'name="%s"\r\n\r\n%s' % field for field in FIELDS] + [
    b'name="file"; filename="a.wav"\r\n\r\n' + b"\1\2" * 300
]
FORM = b"".join(b"--b\r\nContent-Disposition: form-data; %s\r\n" % part for part in PARTS) + b"--b--\r\n"
PIECES = (
    *(b"\r\n", b"--b", b"--b--", b"\r\n\r\n", b'"', b";", b"=", b"\0", b"\xff", b"\xed\xa0\x80", b"[", b"{", b"\n"),
    *(
        b"filename*=utf-8''%ff",
        b"chunking_strategy[a]",
        b"keywords[]",
        b'["\\ud800"]',
        b"1e999",
        b" " * 50,
        b"a" * 70_000,
    ),
)
NAMES = (
    *(b"X-Request-Id", b"X-Request-Timeout", b"x-stainless-retry-count", b"X-Transcription-Tier", b"Idempotency-Key"),
    *(b"Authorization", b"traceparent", b"tracestate", b"Accept", b"Origin", b"If-None-Match", b"Range", b"Expect"),
    *(b"Cookie", b"Upgrade", b"Content-Encoding", b"X-Forwarded-For", b"Access-Control-Request-Method"),
)
VALUES = (
    *(b"", b"0", b"-1", b"nan", b"inf", b"1e-300", b"1e300", b"\xff\xfe", b"a" * 500, b"text/html", b"websocket"),
    *(
        b"identity",
        b"deferred",
        b"bytes=0-",
        b"\xd9\xa3",
        b"{}",
        b"%00",
        b"00-" + b"0" * 32 + b"-" + b"0" * 16 + b"-01",
    ),
)
REFUSALS = {400, 404, 408, 413, 415, 417, 504}  # 504: it said that it waits for no time at all


def damaged(rng: random.Random) -> bytes:
    """The form with up to six changes."""
    form = bytearray(FORM)
    for _ in range(rng.choice([0, 1, 1, 2, 3, 6])):
        at = rng.randrange(len(form))
        match rng.randrange(4):
            case 0:
                form[at] ^= 1 << rng.randrange(8)
            case 1:
                del form[at : at + rng.randint(1, 60)]
            case 2:
                form[at:at] = rng.choice(PIECES)
            case 3:
                form[at : at + 10] = rng.randbytes(10)
    return bytes(form)


def chunked(body: bytes, rng: random.Random) -> bytes:
    """The body in a few pieces."""
    wire, at = b"", 0
    while at < len(body):
        piece = body[at : at + rng.randint(1, len(body) // 3)]
        wire, at = wire + b"%x\r\n%s\r\n" % (len(piece), piece), at + len(piece)
    return wire + b"0\r\n\r\n"


def request(paths: tuple[str, ...], rng: random.Random) -> bytes:
    """All of it."""
    body, target = damaged(rng), rng.choice(paths) + rng.choice(QUERIES)
    lines = [b"POST %s HTTP/1.1" % target.encode(), b"Host: x", b"Content-Type: multipart/form-data; boundary=b"]
    lines += [b"%s: %s" % (rng.choice(NAMES), rng.choice(VALUES)) for _ in range(rng.choice([0, 1, 2, 4]))]
    if rng.random() < 0.7:
        lines.append(b"Content-Length: %d" % len(body))
    else:
        lines.append(b"Transfer-Encoding: chunked")
        body = chunked(body, rng)
    return b"\r\n".join([*lines, b"Connection: close", b"", body])


async def status_of(port: int, sent: bytes) -> int:
    """Of the answer; every request gets one."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.timeout(60):
            writer.write(sent)
            return int((await reader.read()).split(b" ", 2)[1])
    finally:
        writer.close()


@pytest.mark.real
@pytest.mark.parametrize("kind", ["router", "worker"])
async def test_damaged_requests_are_refused_or_answered(kind: str):
    """No 5xx, no traceback in any log, the same processes afterwards."""
    hears = worker("fake:0")
    front = router([hears], "--jobs-max", str(CASES + 100))
    target: Service = front if kind == "router" else hears
    paths = PATHS + ROUTERS_PATHS if kind == "router" else PATHS
    rng, outcomes = random.Random(SEED), Counter[int]()

    async def sender() -> None:
        for _ in range(CASES // AT_ONCE):
            sent = request(paths, rng)
            status = await status_of(target.port, sent)
            assert status in REFUSALS | {200, 202}, f"{status} for {sent[:1000]!r}"
            outcomes[status] += 1

    async with up(hears, front) as client:
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(sender())
        assert (await ask(client, target.url))[0] == 200
        for service in (hears, front):
            assert service.process.poll() is None
            assert "Traceback" not in service.log.read_text()
    logging.getLogger(__name__).info("%d requests to a %s, seed %d: %s", outcomes.total(), kind, SEED, dict(outcomes))
