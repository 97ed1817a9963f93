"""nginx in the router's place, for real: workers that are busy, dead, or gone; streams, limits, TLS, following DNS."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import pytest

from loadtest import nginx
from tests.integration.processes import BODY_HEAD, BODY_TAIL, FORM, ask, free_port, up, worker
from tests.programs import needs_nginx

pytestmark = [
    pytest.mark.real,
    needs_nginx,
]


@contextmanager
def balancer(folder: Path, workers: list[int], *enabled: str, listen: str | None = None) -> Iterator[str]:
    """Nginx from nginx/ before these ports, with these optional parts; gives its URL."""
    port = free_port()
    nginx.lay_out(folder, port=port, workers=workers)
    (folder / "enabled").mkdir()
    for name in enabled:
        shutil.copy(nginx.CONFIG / name, folder / "enabled" / name)
    if listen:
        (folder / "listen.conf").write_text((nginx.CONFIG / listen).read_text().replace("8443", f"127.0.0.1:{port}"))
    process = subprocess.Popen(command(folder))
    try:
        deadline = time.monotonic() + 15
        while not (folder / "temp" / "nginx.pid").exists():
            assert process.poll() is None and time.monotonic() < deadline, "nginx did not start"
            time.sleep(0.02)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(15)


def command(folder: Path, *options: str) -> list[str]:
    program = nginx.find()
    assert program
    return [program, "-p", str(folder), "-c", "nginx.conf", "-e", "stderr", "-g", "daemon off;", *options]


async def test_a_busy_worker_is_passed_over(tmp_path):
    """
    Two workers of one slot that refuse at once, one busy: all are served by the other, whomever nginx tries first.
    """
    busy, free = (worker(f"fake:{seconds}", "--fail-fast-when-busy") for seconds in (3, 0.05))
    async with up(busy, free) as client, asyncio.TaskGroup() as group:
        with balancer(tmp_path, [busy.port, free.port]) as url:
            held = group.create_task(ask(client, busy.url))
            await _until_busy(client, busy.url)
            answers = [await ask(client, url) for _ in range(6)]
            assert not held.done()
            assert [status for status, _ in answers] == [200] * 6
            assert len({headers["X-Fleet-Worker"] for _, headers in answers}) == 1
            assert (await held)[0] == 200


async def test_all_busy_is_the_workers_own_answer(tmp_path):
    """
    503 with the worker's Retry-After and its mark; and who was busy is asked again at once, not left out.
    """
    only = worker("fake:2", "--fail-fast-when-busy", "--busy-retry-after-s", "7")
    async with up(only) as client:
        with balancer(tmp_path, [only.port]) as url:
            holding = asyncio.gather(ask(client, only.url), _until_busy(client, only.url))
            await asyncio.sleep(0)
            await _until_busy(client, only.url)
            status, headers = await ask(client, url)
            await holding
            assert (status, headers["Retry-After"], headers["X-Fleet-Busy"]) == (503, "7", "1")

            assert (await ask(client, url))[0] == 200


async def test_a_dead_worker_costs_nobody_an_answer(tmp_path):
    """
    One of two is killed: its share goes to the other. Both are: nginx's own 503, in OpenAI's form, with Retry-After.
    """
    one, other = worker("fake:0.01"), worker("fake:0.01")
    async with up(one, other) as client:
        with balancer(tmp_path, [one.port, other.port]) as url:
            one.stop()
            assert [(await ask(client, url))[0] for _ in range(6)] == [200] * 6

            other.stop()
            async with client.post(f"{url}/v1/audio/transcriptions", data=b"x") as response:
                error = (await response.json())["error"]
                assert (response.status, response.headers["Retry-After"]) == (503, "10")
                assert (error["code"], error["type"], error["param"]) == ("no_worker", "server_error", None)

            async with client.get(f"{url}/lb-status") as response:
                assert response.status == 200
                assert (await response.text()).startswith("Active connections:")


async def test_streams_are_not_held_back(tmp_path):
    """
    The first event of a stream arrives while the worker still works on the clip.
    """
    only = worker("fake:1.5")
    body = BODY_TAIL.replace(b"--x--", b'--x\r\nContent-Disposition: form-data; name="stream"\r\n\r\ntrue\r\n--x--')
    async with up(only) as client:
        with balancer(tmp_path, [only.port]) as url:
            data, began = BODY_HEAD + b"RIFFx" + body, time.monotonic()
            async with client.post(f"{url}/v1/audio/transcriptions", data=data, headers=FORM) as response:
                assert response.content_type == "text/event-stream"
                await response.content.readany()
                first_s = time.monotonic() - began
                rest = await response.content.read()
            assert b"transcript.text.done" in rest
            assert first_s < (time.monotonic() - began) / 2


async def test_an_address_that_asks_too_much_is_told_so(tmp_path):
    """
    Past the rate: 429 in OpenAI's form with Retry-After, from nginx; status and workers stay out of it.
    """
    only = worker("fake:0", "--max-queue-size", "1000")
    async with up(only) as client:
        with balancer(tmp_path, [only.port], "limits.conf") as url:
            answers = await asyncio.gather(*(_get(client, f"{url}/health") for _ in range(180)))
            refused = [answer for answer in answers if answer[0] == 429]

            assert refused and len(refused) < 100
            assert all(headers["Retry-After"] == "1" for _, headers, _ in refused)
            assert json.loads(refused[0][2])["error"]["code"] == "rate_limit_exceeded"
            assert (await _get(client, f"{url}/lb-status"))[0] == 200


async def test_a_body_too_large_is_refused_in_the_same_form(tmp_path):
    """
    By what the headers say, before a byte of it is read.
    """
    only = worker("fake:0")
    async with up(only) as client:
        with balancer(tmp_path, [only.port]) as url:
            reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
            writer.write(b"POST /v1/audio/transcriptions HTTP/1.1\r\nHost: x\r\nContent-Length: 600000000\r\n\r\n")
            answer = await asyncio.wait_for(reader.readuntil(b"}}"), 10)
            writer.close()
            assert b" 413 " in answer and b'"body_too_large"' in answer
    del client


async def test_the_tls_example_serves(tmp_path):
    """
    listen-tls.conf with a certificate: HTTPS answers, old protocols do not, and workers are told that it was HTTPS.
    """
    (tmp_path / "tls").mkdir()
    certificate, key = tmp_path / "tls" / "fleet.crt", tmp_path / "tls" / "fleet.key"
    await asyncio.to_thread(_make_certificate, certificate, key)
    only = worker("fake:0")
    async with up(only) as client:
        with balancer(tmp_path, [only.port], listen="listen-tls.conf") as url:
            async with client.get(
                url.replace("http:", "https:") + "/health", ssl=ssl.create_default_context(cafile=certificate)
            ) as response:
                assert response.status == 200


async def test_an_older_nginx_follows_a_name(tmp_path):
    """
    follow-dns.sh writes the addresses that a name has now and nginx takes them over; nobody's answer is lost meanwhile.
    """
    one, other = worker("fake:0.05"), worker("fake:0.05")
    names = tmp_path / "bin"
    names.mkdir()
    (tmp_path / "addresses").write_text("127.0.0.1\n")
    (names / "getent").write_text(f"#!/bin/sh\ncat {tmp_path}/addresses | sed 's/$/ STREAM worker/'\n")
    (names / "getent").chmod(0o755)
    async with up(one, other) as client:
        with balancer(tmp_path, [other.port]) as url:
            reload = " ".join(f"'{part}'" for part in command(tmp_path, "-s", "reload"))
            follow = [str(nginx.CONFIG / "follow-dns.sh"), "worker", str(one.port), str(tmp_path / "upstream.conf")]
            environ = os.environ | {"PATH": f"{names}:{os.environ['PATH']}"}
            with _running([*follow, reload, "0.1"], environ):
                async with asyncio.timeout(20):
                    while (answer := await _get(client, f"{url}/health"))[0] == 200:
                        if json.loads(answer[2])["worker_id"].endswith(f":{one.port}"):
                            break
                assert answer[0] == 200
                (tmp_path / "addresses").write_text("")  # a resolver that fails changes nothing
                await asyncio.sleep(0.5)
                assert f"127.0.0.1:{one.port}" in (tmp_path / "upstream.conf").read_text()


@contextmanager
def _running(program: list[str], environ: dict[str, str]) -> Iterator[None]:
    process = subprocess.Popen(program, env=environ)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _make_certificate(certificate: Path, key: Path) -> None:
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
    made += ["-addext", "subjectAltName=IP:127.0.0.1", "-out", str(certificate), "-keyout", str(key)]
    subprocess.run(made, check=True, capture_output=True)


async def _get(client: aiohttp.ClientSession, url: str) -> tuple[int, dict[str, str], bytes]:
    async with client.get(url) as response:
        return response.status, dict(response.headers), await response.read()


async def _until_busy(client: aiohttp.ClientSession, url: str) -> None:
    async with asyncio.timeout(10):
        while True:
            async with client.get(f"{url}/health") as response:
                if (await response.json())["in_flight"]:
                    return
            await asyncio.sleep(0.01)
