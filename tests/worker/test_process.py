"""A worker as a process: how it starts, how it stops, what its exit code says."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil
import pytest

from fleet.serve import EXIT_STARTUP
from tests.integration.processes import free_port
from tests.worker import clips as make
from tests.worker.conftest import SAMPLES

pytestmark = pytest.mark.real


@contextmanager
def process(*argv: str, **environ: str) -> Iterator[subprocess.Popen[str]]:
    """`python -m worker`; killed at the end of the block if it is still there."""
    with subprocess.Popen(
        [sys.executable, "-m", "worker", *argv], env=os.environ | environ, text=True, stderr=subprocess.PIPE
    ) as child:
        try:
            yield child
        finally:
            child.kill()


def status_of(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except OSError:
        return 0


def wait_for(url: str, status: int, within_s: float = 30) -> None:
    deadline = time.monotonic() + within_s
    while status_of(url) != status:
        assert time.monotonic() < deadline, url
        time.sleep(0.02)


def wait_busy(port: int) -> None:
    """Until a request has a slot."""
    deadline = time.monotonic() + 30
    while True:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/load", timeout=30) as response:
            if json.load(response)["in_flight"]:
                return
        assert time.monotonic() < deadline
        time.sleep(0.02)


def send(port: int, clip: bytes) -> Any:
    """The answer to a clip."""
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/audio/transcriptions",
        data=head + clip + b"\r\n--b--\r\n",
        headers={"Content-Type": "multipart/form-data; boundary=b"},
    )
    with urllib.request.urlopen(request, timeout=100) as response:
        return json.load(response)


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["--model", "nope"], "no model called 'nope'"),
        (["--model", "fake:soon"], "fake:SECONDS"),
        (["--port", "eighty"], "PORT must be a whole number"),
        (["--model", "tiny", "--offline", "true", "--model-dir", "/nonexistent"], "OFFLINE"),
    ],
)
def test_what_cannot_start_says_why_in_one_line(argv: list[str], says: str):
    """Exit code 3, one sentence, no traceback."""
    argv = argv if "--port" in argv else [*argv, "--port", str(free_port())]
    with process(*argv, LOG_LEVEL="error") as child:
        _, err = child.communicate(timeout=60)
    assert child.returncode == EXIT_STARTUP
    assert says in err
    assert "Traceback" not in err
    assert len(err.strip().splitlines()) == 1


def test_a_port_that_is_taken_is_a_sentence_too():
    """The message names the setting."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with process("--model", "fake:0", "--port", str(taken.getsockname()[1]), LOG_LEVEL="error") as child:
            _, err = child.communicate(timeout=60)
    assert child.returncode == EXIT_STARTUP
    assert "PORT" in err


def test_memory_after_a_long_clip_is_that_of_an_idle_worker():
    """Ten minutes of audio, and then no more than the model (5 MB) and 250 MB."""
    port = free_port()
    clip = make.repeated((SAMPLES / "half-minute.wav").read_bytes(), 33)
    with process("--port", str(port), "--cpu-threads", "1", LOG_LEVEL="error") as child:
        wait_for(f"http://127.0.0.1:{port}/readyz", 200)
        assert send(port, clip)["usage"]["seconds"] > 590
        worker, deadline = psutil.Process(child.pid), time.monotonic() + 20
        while worker.memory_info().rss > 255_000_000:
            assert time.monotonic() < deadline, worker.memory_info()
            time.sleep(0.1)


async def test_sigterm_drains_and_exits_0():
    """The request in flight is answered, readiness fails at once, the exit code is 0."""
    port = free_port()
    with process("--model", "fake:2", "--port", str(port), LOG_LEVEL="error") as child:
        await asyncio.to_thread(wait_for, f"http://127.0.0.1:{port}/readyz", 200)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        body = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nsomething\r\n--b--\r\n'
        writer.write(
            b"POST /v1/audio/transcriptions HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\n"
            + f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
            + body
        )
        await asyncio.to_thread(wait_busy, port)
        child.send_signal(signal.SIGTERM)
        await asyncio.to_thread(wait_for, f"http://127.0.0.1:{port}/readyz", 503)
        answer = await asyncio.wait_for(reader.read(), 30)
        assert answer.startswith(b"HTTP/1.1 200")
        writer.close()
        assert await asyncio.to_thread(child.wait, 30) == 0


def test_a_second_signal_stops_at_once():
    """Whoever does not want to wait for a drain does not have to."""
    port = free_port()
    with process("--model", "fake:300", "--port", str(port), LOG_LEVEL="error") as child:
        wait_for(f"http://127.0.0.1:{port}/readyz", 200)
        body = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nsomething\r\n--b--\r\n'
        with socket.create_connection(("127.0.0.1", port)) as caller:
            caller.sendall(
                b"POST /v1/audio/transcriptions HTTP/1.1\r\nHost: x\r\n"
                b"Content-Type: multipart/form-data; boundary=b\r\n"
                + f"Content-Length: {len(body)}\r\n\r\n".encode()
                + body
            )
            wait_busy(port)
            child.send_signal(signal.SIGTERM)
            wait_for(f"http://127.0.0.1:{port}/readyz", 503)
            child.send_signal(signal.SIGTERM)
            assert caller.recv(100).startswith(b"HTTP/1.1 503")
            child.wait(20)


def test_a_worker_that_has_grown_too_large_drains_and_exits_0():
    """So that whoever keeps it running starts a fresh one, and counts no crash."""
    port = free_port()
    with process("--model", "fake:0", "--port", str(port), "--max-rss-mb", "1", LOG_LEVEL="error") as child:
        wait_for(f"http://127.0.0.1:{port}/readyz", 200)
        send(port, b"something")
        assert child.wait(60) == 0


def test_a_limit_that_no_worker_can_keep_is_told():
    """Exit code 3, so that nobody starts it again and again."""
    with process("--model", "fake:0", "--port", str(free_port()), "--max-rss-mb", "1", LOG_LEVEL="error") as child:
        _, err = child.communicate(timeout=60)
    assert child.returncode == EXIT_STARTUP
    assert "MAX_RSS_MB" in err


def test_other_libraries_get_one_thread_before_they_load():
    """
    They read their settings when they are loaded, and their threads would fight the model's for the cores; the model's
    own sleep while they wait for each other.
    """
    names = "os.environ['OMP_NUM_THREADS'], os.environ['OMP_WAIT_POLICY']"
    code = f"import worker.__main__, os, sys; print({names}, {{'numpy', 'av'}} & set(sys.modules))"
    environ = {name: value for name, value in os.environ.items() if not name.endswith(("_NUM_THREADS", "_WAIT_POLICY"))}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environ, timeout=60)
    assert done.stdout == "1 PASSIVE set()\n", done.stderr


def test_help_names_every_option():
    """Units and defaults included."""
    text = subprocess.run(
        [sys.executable, "-m", "worker", "--help"], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    assert "--model " in text
    assert "--max-concurrent-transcriptions" in text
    assert "[MB]" in text


PULLS = """
import sys, time
from concurrent.futures import ThreadPoolExecutor
from worker import app, fake
from worker.__main__ import main

class Pulls(fake.ScriptedEngine):
    def load(self):
        with ThreadPoolExecutor(1) as pool:
            pool.submit(time.sleep, 600).result()

app.build_engine = lambda settings: Pulls("fake:0", 0)
sys.exit(main(sys.argv[1:]))
"""


def test_a_worker_that_pulls_its_model_ends_when_it_is_told_to() -> None:
    """The Hub's client fetches in threads that Python waits for at its end: with a large model, for an hour."""
    port = free_port()
    with subprocess.Popen([sys.executable, "-c", PULLS, "--port", str(port)]) as child:
        try:
            wait_for(f"http://127.0.0.1:{port}/healthz", 200)
            child.send_signal(signal.SIGTERM)
            assert child.wait(20) == 0
        finally:
            child.kill()
